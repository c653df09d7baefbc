"""A stand-in for the control plane's conductor, which keeps everything that guests tell it."""

import contextlib
import dataclasses
import threading
import time
import types
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Self

import amqp

from guestagent.conformance import messages
from guestagent.conformance.encryption import Cryptor, sealed_by
from guestagent.conformance.messages import Bus

TOPIC = "trove-conductor"
RECONNECT_SECONDS = 0.1


@dataclasses.dataclass(frozen=True)
class Report:
    """One message from a guest.

    :ivar args: the arguments, decrypted.
    :ivar context: the context, decrypted.
    :ivar encrypted_by: the instance that encrypted it; none: it came in clear.
    :ivar is_call: the guest waits for an answer, which it got.
    :ivar problem: why it could not be read; then the other fields are as they came.
    :ivar received_at: seconds since the epoch.
    """

    method: str
    args: Mapping[str, Any]
    context: Mapping[str, Any]
    version: str
    encrypted_by: str | None
    is_call: bool
    problem: str | None
    received_at: float

    @property
    def instance_id(self) -> str | None:
        """The instance that the report is about."""
        notification = self.args.get("serialized_notification", {})
        found: str | None = self.args.get("instance_id") or notification.get("instance_id")
        return found

    @property
    def status(self) -> str | None:
        """What a heartbeat says; none: it is no heartbeat."""
        if self.method != "heartbeat":
            return None
        said: str = self.args["payload"]["service_status"]
        return said


class Conductor:
    """Listens in a thread of its own from construction to :meth:`close`, over restarts of the broker.

    Every conductor has a queue of its own, so any number may listen to one exchange.

    :param keys: the encryption keys of instances, by their ids; may grow at any time.
    """

    def __init__(self, broker: Bus, exchange: str, keys: dict[str, str] | None = None) -> None:
        self.keys = keys if keys is not None else {}
        self._broker = broker
        self._exchange = exchange
        self._queue = f"{TOPIC}-{uuid.uuid4().hex}"
        self._reports: list[Report] = []
        self._changed = threading.Condition()
        self._leaving = threading.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="conductor", daemon=True)
        self._thread.start()
        if not self._listening.wait(30):
            raise AssertionError("the conductor cannot reach the broker")

    @property
    def reports(self) -> list[Report]:
        """Everything that has been heard so far, in order."""
        with self._changed:
            return list(self._reports)

    def of(self, guest_id: str, method: str | None = None) -> list[Report]:
        """What a guest has said so far, in order."""
        return [report for report in self.reports if report.instance_id == guest_id and method in (None, report.method)]

    def statuses(self, guest_id: str) -> list[str | None]:
        """What the heartbeats of a guest have said so far, in order."""
        return [report.status for report in self.of(guest_id, "heartbeat")]

    def wait_for(
        self, wanted: Callable[[Report], bool], timeout: float = 60.0, *, after: int = 0, what: str = "that report"
    ) -> Report:
        """The first report that is wanted, heard already or still to come.

        :param timeout: seconds.
        :param after: how many reports to leave out; ``len(conductor.reports)`` means from now on.
        :param what: for the message when it does not come.
        :raises AssertionError: it did not come in time.
        """

        def found() -> Report | None:
            return next((report for report in self._reports[after:] if wanted(report)), None)

        with self._changed:
            if not self._changed.wait_for(found, timeout):
                heard = "\n".join(f"  {report}" for report in self._reports[-20:]) or "  nothing"
                raise AssertionError(f"the conductor did not hear {what} in {timeout:g} s; it heard:\n{heard}")
            report = found()
            assert report is not None
            return report

    def wait_for_status(self, guest_id: str, *statuses: str, timeout: float = 60.0, after: int = 0) -> Report:
        """The first heartbeat of a guest that says one of the statuses; see :meth:`wait_for`."""
        return self.wait_for(
            lambda report: report.instance_id == guest_id and report.status in statuses,
            timeout,
            after=after,
            what=f"{' or '.join(statuses)!r} from {guest_id}",
        )

    def wait_for_method(self, guest_id: str, *methods: str, timeout: float = 60.0, after: int = 0) -> Report:
        """The first report of a guest with one of the methods; see :meth:`wait_for`."""
        return self.wait_for(
            lambda report: report.instance_id == guest_id and report.method in methods,
            timeout,
            after=after,
            what=f"{' or '.join(methods)} from {guest_id}",
        )

    def wait_until_listening(self, timeout: float = 30.0) -> None:
        """Return when it listens, also after the broker was away."""
        if not self._listening.wait(timeout):
            raise AssertionError(f"the conductor could not reach the broker in {timeout:g} s")

    def close(self) -> None:
        """Stop to listen."""
        self._leaving.set()
        self._thread.join(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.close()

    def _listen(self) -> None:
        while not self._leaving.is_set():
            with contextlib.suppress(OSError, amqp.exceptions.ConnectionError):
                self._consume()
            self._listening.clear()
            self._leaving.wait(RECONNECT_SECONDS)

    def _consume(self) -> None:
        with messages.connect(self._broker.url) as connection:
            channel = connection.channel()
            messages.declare_topic(channel, self._exchange, TOPIC, self._queue)
            channel.basic_consume(self._queue, callback=self._on_message, no_ack=True)
            self._listening.set()
            while not self._leaving.is_set():
                with contextlib.suppress(TimeoutError):
                    connection.drain_events(timeout=0.1)
            channel.queue_delete(self._queue)

    def _on_message(self, message: amqp.Message) -> None:
        received = messages.unpack(message.body)
        with self._changed:
            self._reports.append(self._read(received))
            self._changed.notify_all()
        if "_msg_id" in received:
            reply = {
                "result": None,
                "failure": None,
                "ending": True,
                "_msg_id": received["_msg_id"],
                "_unique_id": uuid.uuid4().hex,
            }
            messages.publish(message.channel, messages.pack(reply), exchange="", routing_key=received["_reply_q"])

    def _read(self, received: Mapping[str, Any]) -> Report:
        args, context = received["args"], messages.context_of(received)
        encrypted_by = problem = None
        try:
            encrypted_by = sealed_by(context, args)
            if encrypted_by is not None:
                context, args = Cryptor(self.keys[encrypted_by]).open_report(context, args)
        except (ValueError, KeyError) as error:
            problem = f"{type(error).__name__}: {error}"
        return Report(
            method=received["method"],
            args=args,
            context=context,
            version=received["version"],
            encrypted_by=encrypted_by,
            is_call="_msg_id" in received,
            problem=problem,
            received_at=time.time(),
        )
