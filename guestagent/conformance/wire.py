"""The control plane's side of the wire, as bytes."""

import contextlib
import dataclasses
import json
import time
import types
import uuid
from collections.abc import Mapping
from typing import Any, Self

import amqp

from guestagent.conformance import messages
from guestagent.conformance.encryption import Cryptor
from guestagent.conformance.messages import Bus

NEWEST = "1.3"
"""The newest version of the contract that the control plane speaks."""
BROKER_DELAY = 2.0
"""Seconds that an answer is waited for beyond the time-out of the call itself."""


@dataclasses.dataclass(frozen=True)
class Failure:
    """What a reply says of the exception on the other side, field by field."""

    class_name: str
    module: str
    message: str
    traceback: list[str]
    args: list[Any]
    kwargs: dict[str, Any]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the field ``failure`` of a reply."""
        plain = json.loads(text)
        return cls(
            plain["class"], plain["module"], plain["message"], plain["tb"], plain["args"], plain.get("kwargs", {})
        )


@dataclasses.dataclass(frozen=True)
class Reply:
    """An answer: its result, decrypted if there is a key, or its failure.

    :ivar raw: the message as it came.
    """

    result: Any
    failure: Failure | None
    raw: Mapping[str, Any] = dataclasses.field(repr=False)


class CallFailed(Exception):
    """The other side answered with a failure."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.module}.{failure.class_name}: {failure.message}")
        self.failure = failure


class NoReply(Exception):
    """No answer came in time."""


class Pending:
    """A call that was sent."""

    def __init__(self, wire: "Wire", message_id: str, key: str | None, timeout: float) -> None:
        self._wire = wire
        self._message_id = message_id
        self._key = key
        self._timeout = timeout
        self._raw: dict[str, Any] | None = None

    @property
    def answered(self) -> bool:
        """Whether the answer is there now."""
        if self._raw is None:
            self._wire.receive(0)
            self._take()
        return self._raw is not None

    def reply(self, timeout: float | None = None) -> Reply:
        """Wait for the answer.

        :param timeout: seconds; none: that of the call and what the broker may need.
        :raises NoReply: none came.
        """
        deadline = time.monotonic() + (self._timeout + BROKER_DELAY if timeout is None else timeout)
        while (raw := self._take()) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise NoReply
            self._wire.receive(left)
        if raw["failure"]:
            return Reply(None, Failure.parse(raw["failure"]), raw)
        return Reply(Cryptor(self._key).decrypt(raw["result"]) if self._key else raw["result"], None, raw)

    def _take(self) -> dict[str, Any] | None:
        """The answer, if it has come; the wire has it no longer then, which sees a great many."""
        if self._raw is None:
            self._raw = self._wire.replies.pop(self._message_id, None)
        return self._raw

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the answer's result.

        :raises CallFailed: the answer is a failure.
        :raises NoReply: no answer came.
        """
        reply = self.reply(timeout)
        if reply.failure is not None:
            raise CallFailed(reply.failure)
        return reply.result


class Wire:
    """Sends messages to guests and takes their replies. For one thread; it survives no broker.

    :param broker: what it is connected to.
    :param exchange: the control exchange; with one of its own a test meets nobody else's messages.
    :ivar replies: those that came and that nobody has taken, by the ids of their calls.
    """

    def __init__(self, broker: Bus, exchange: str) -> None:
        self.exchange = exchange
        self.replies: dict[str, dict[str, Any]] = {}
        self.broker = broker
        self._reply_queue = f"reply_{uuid.uuid4().hex}"
        self._open()

    def begin(
        self,
        guest_id: str,
        method: str,
        args: Mapping[str, Any] | None = None,
        *,
        version: str = "1.0",
        namespace: str | None = None,
        context: Mapping[str, Any] | None = None,
        key: str | None = None,
        timeout: float = 60.0,
    ) -> Pending:
        """Send a call; any number may be under way.

        :param args: the arguments, in clear.
        :param version: of the contract, as the message asks for.
        :param namespace: of the call; none: Trove's.
        :param context: of the request; none: an administrator's with an id of its own.
        :param key: encrypts the request and decrypts the result.
        :param timeout: seconds; the broker forgets a call that nobody took by then.
        """
        message = self.message(method, args, version=version, namespace=namespace, context=context, key=key)
        return self.begin_message(guest_id, message, key=key, timeout=timeout)

    def begin_message(
        self, guest_id: str, message: Mapping[str, Any], *, key: str | None = None, timeout: float = 60.0
    ) -> Pending:
        """Send a message of :meth:`message` as a call, however it was spoilt."""
        message_id = uuid.uuid4().hex
        call = {**message, "_msg_id": message_id, "_reply_q": self._reply_queue, "_timeout": None}
        self.send_raw(messages.pack(call), guest_id, expiration=str(int(timeout * 1000)))
        return Pending(self, message_id, key, timeout)

    def ask(self, guest_id: str, method: str, args: Mapping[str, Any] | None = None, **how: Any) -> Reply:
        """Send a call and wait for the answer, whatever it is; see :meth:`begin`."""
        return self.begin(guest_id, method, args, **how).reply()

    def call(self, guest_id: str, method: str, args: Mapping[str, Any] | None = None, **how: Any) -> Any:
        """Send a call and wait for its result; see :meth:`begin`.

        :raises CallFailed: the answer is a failure.
        :raises NoReply: no answer came.
        """
        return self.begin(guest_id, method, args, **how).result()

    def cast(
        self,
        guest_id: str,
        method: str,
        args: Mapping[str, Any] | None = None,
        *,
        version: str = "1.0",
        namespace: str | None = None,
        context: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> None:
        """Send a message that nobody answers; it waits in the guest's queue, if there is one."""
        message = self.message(method, args, version=version, namespace=namespace, context=context, key=key)
        self.send_message(guest_id, message)

    def send_message(self, guest_id: str, message: Mapping[str, Any]) -> None:
        """Send a message of :meth:`message` as a cast, for example once more."""
        self.send_raw(messages.pack(message), guest_id)

    def message(
        self,
        method: str,
        args: Mapping[str, Any] | None = None,
        *,
        version: str = "1.0",
        namespace: str | None = None,
        context: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> dict[str, Any]:
        """The message of a cast, to be sent as it is or spoilt first."""
        sent_context = dict(context) if context is not None else request_context()
        sent_args = dict(args or {})
        if key:
            sent_context, sent_args = Cryptor(key).seal_request(sent_context, sent_args)
        message = {"method": method, "args": sent_args, "version": version, "_unique_id": uuid.uuid4().hex}
        if namespace is not None:
            message["namespace"] = namespace
        return message | messages.flatten(sent_context)

    def send_raw(self, body: bytes, guest_id: str, **properties: Any) -> None:
        """Send a body as it is to a guest; ``properties`` are AMQP's."""
        routing_key = f"guestagent.{guest_id}"
        messages.publish(self._channel, body, exchange=self.exchange, routing_key=routing_key, **properties)

    def declare_guest(self, guest_id: str) -> None:
        """Declare a guest's queues before it boots, as the task manager does for prepare and rebuild."""
        topic = f"guestagent.{guest_id}"
        messages.declare_topic(self._channel, self.exchange, topic)
        messages.declare_topic(self._channel, self.exchange, f"{topic}.{guest_id}")

    def waiting(self, guest_id: str) -> int:
        """How many messages nobody has taken from the guest's queue yet."""
        declared = self._channel.queue_declare(f"guestagent.{guest_id}", passive=True)
        return int(declared.message_count)

    def consumers(self, guest_id: str) -> int:
        """How many listen to the guest's queue."""
        declared = self._channel.queue_declare(f"guestagent.{guest_id}", passive=True)
        return int(declared.consumer_count)

    def receive(self, timeout: float) -> None:
        """Take what replies there are, waiting at most ``timeout`` seconds for one."""
        # The operating system waits for ever when it is told to wait for 0 s.
        with contextlib.suppress(TimeoutError):
            self._connection.drain_events(timeout=max(timeout, 0.001))

    def reconnect(self) -> None:
        """Come back after the broker was away; the answers to calls before that are lost."""
        self.close()
        self._open()

    def close(self) -> None:
        """Leave the broker."""
        with contextlib.suppress(OSError, amqp.exceptions.ConnectionError):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> None:
        self._connection = messages.connect(self.broker.url)
        self._channel = self._connection.channel()
        messages.declare_exchange(self._channel, self.exchange)
        self._channel.queue_declare(self._reply_queue, arguments=messages.EXPIRES, **messages.TRANSIENT)
        self._channel.basic_consume(self._reply_queue, callback=self._on_reply, no_ack=True)

    def _on_reply(self, message: amqp.Message) -> None:
        reply = messages.unpack(message.body)
        if reply.get("ending", True):
            self.replies[reply["_msg_id"]] = reply


def request_context(notification: str | None = None, **values: Any) -> dict[str, Any]:
    """The context of an administrator's request.

    :param notification: the class of the notification that is to be echoed, for example
        ``trove.common.notification.DBaaSInstanceCreate``; none: the request has none.
    """
    request_id = f"req-{uuid.uuid4()}"
    context: dict[str, Any] = {
        "user": "user-a",
        "project_id": "tenant-a",
        "is_admin": True,
        "request_id": request_id,
    }
    if notification is not None:
        context["trove_notification"] = {
            "request_id": request_id,
            "server_type": "guest",
            "tenant_id": "tenant-a",
            "notification_classname": notification,
        }
    return context | values
