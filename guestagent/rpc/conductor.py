"""Reports to the control plane's conductor, sent in order by one thread.

Names and arguments are those of Trove's conductor, version 1.0: one argument too many and it drops
the message.
"""

import collections
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import oslo_messaging
from oslo_log import log

from guestagent.contract.context import RequestContext
from guestagent.contract.states import ServiceStatus
from guestagent.rpc.envelope import Envelope

LOG = log.getLogger(__name__)

VERSION = "1.0"
CONFIRM_SECONDS = 5
"""How long a report that is to be confirmed holds up who made it and the reports behind it."""
UNHEARD_SECONDS = 1
"""Until a report for which the conductor had no queue, as when its broker has just come back, is sent again."""
ONLY_IF_HEARD = oslo_messaging.TransportOptions(at_least_once=True)
"""Has the broker refuse what it would otherwise throw away, because there is no queue for it."""


class _Report(msgspec.Struct, eq=False):
    """A message that waits to be sent.

    :ivar confirmed: the conductor is to answer that it has worked on it.
    :ivar gone: it was sent, or could not be.
    :ivar sent: is told when it was sent.
    """

    method: str
    context: Mapping[str, Any]
    arguments: Mapping[str, Any]
    confirmed: bool = False
    gone: bool = False
    sent: Callable[[], None] = lambda: None


class Conductor:
    """What the broker cannot take now, it gets later; only who makes a report that is confirmed waits for it.

    :param transport: the connection.
    :param topic: where the conductor listens.
    :param guest_id: whose reports they are.
    :param envelope: wraps them.
    """

    def __init__(self, transport: oslo_messaging.Transport, topic: str, guest_id: str, envelope: Envelope) -> None:
        target = oslo_messaging.Target(topic=topic, version=VERSION)
        self._client = oslo_messaging.get_rpc_client(transport, target)
        self._guest_id = guest_id
        self._envelope = envelope
        self._waiting: collections.deque[_Report] = collections.deque()
        self._changed = threading.Condition()
        self._sending = False
        self._unheard = False
        self._last_sent: dict[str, float] = {}
        self._thread = threading.Thread(target=self._send_all, name="conductor", daemon=True)
        self._thread.start()

    def heartbeat(self, status: ServiceStatus) -> None:
        """Say how the service is.

        ``restart required`` is confirmed. The conductor drops every heartbeat after it until somebody asks for
        a restart; one that it works on after that request would hide for ever that the restart was made.
        """
        payload = {"service_status": status.value}
        with self._changed:
            # While the broker is away only the newest of equal heartbeats is worth sending.
            if self._waiting and self._waiting[-1].arguments.get("payload") == payload:
                self._waiting.pop().gone = True
            report = self._put("heartbeat", {}, {"payload": payload, "sent": self._sent("heartbeat")})
            if status is ServiceStatus.RESTART_REQUIRED:
                self._confirm(report)

    def update_backup(self, context: RequestContext, backup_id: str, *, confirmed: bool = False, **fields: Any) -> None:
        """Say how a backup is; a field that is not given keeps its value there, and null is a value.

        :param confirmed: return when the conductor has worked on it, or does not answer: the control plane may read
            what it knows of the backup as soon as the guest has answered.
        """
        with self._changed:
            arguments = {"backup_id": backup_id, "sent": self._sent("update_backup"), **fields}
            report = self._put("update_backup", context.values, arguments)
            if confirmed:
                self._confirm(report)

    def report_root(self, context: RequestContext) -> None:
        """Say that root has been enabled, by whom the context says."""
        with self._changed:
            self._put("report_root", context.values, {})

    def notify_end(self, context: RequestContext, sent: Callable[[], None] = lambda: None) -> None:
        """Say that the work of a request has ended well; without a notification in it, nobody waits.

        :param sent: is told when the broker has it.
        """
        if context.notification is not None:
            notification = {"instance_id": self._guest_id, **context.notification}
            arguments = {"serialized_notification": notification, "notification_args": {}}
            with self._changed:
                self._put("notify_end", context.values, arguments, with_instance=False).sent = sent

    def notify_error(
        self, context: RequestContext, error: BaseException, sent: Callable[[], None] = lambda: None
    ) -> None:
        """Say that the work of a request has failed; it becomes the instance's fault in the API.

        :param sent: is told when the broker has it.
        """
        if context.notification is not None:
            arguments = {
                "serialized_notification": {**context.notification, "instance_id": self._guest_id},
                "message": str(error),
                # The conductor inserts into it, so it has to be a list.
                "exception": [f"{type(error).__name__}: {error}"],
            }
            with self._changed:
                self._put("notify_exc_info", context.values, arguments, with_instance=False).sent = sent

    def flush(self, timeout: float) -> bool:
        """Wait until all reports are sent, at most ``timeout`` seconds; whether they are.

        Nobody waits for a conductor that has no queue.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._unheard or self._is_idle(), timeout)
            return self._is_idle()

    def _is_idle(self) -> bool:
        return not self._waiting and not self._sending

    def _put(
        self, method: str, context: Mapping[str, Any], arguments: dict[str, Any], with_instance: bool = True
    ) -> _Report:
        if with_instance:
            arguments = {"instance_id": self._guest_id, **arguments}
        report = _Report(method, context, arguments)
        self._waiting.append(report)
        self._changed.notify_all()
        return report

    def _confirm(self, report: _Report) -> None:
        """Return when the conductor has worked on the report, or when waiting for that is no use."""
        report.confirmed = True
        self._changed.wait_for(lambda: report.gone, CONFIRM_SECONDS)

    def _sent(self, method: str) -> float:
        # The conductor discards a report that is not newer than the last one, an equal one included.
        now = max(time.time(), self._last_sent.get(method, 0.0) + 1e-6)
        self._last_sent[method] = now
        return now

    def _send_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting))
                report = self._waiting.popleft()
                self._sending = True
            is_heard = self._try_to_send(report)
            if not (is_heard or self._unheard):
                LOG.warning("Nobody listens for '%s'; it will be sent again", report.method)
            with self._changed:
                self._sending = False
                self._unheard = not is_heard
                report.gone = is_heard
                if not is_heard:
                    self._waiting.appendleft(report)
                self._changed.notify_all()
                if not is_heard:
                    self._changed.wait(UNHEARD_SECONDS)

    def _try_to_send(self, report: _Report) -> bool:
        """Send a report, or fail to for good; false: there was nobody to hear it."""
        try:
            self._send(report)
            report.sent()
        except oslo_messaging.MessageUndeliverable:
            return False
        except Exception:
            # Whatever is wrong with this one, the next must be sent: it may be a heartbeat.
            LOG.exception("The conductor did not get '%s'", report.method)
        return True

    def _send(self, report: _Report) -> None:
        context, arguments = self._envelope.seal_report(report.context, report.arguments)
        # There will be another heartbeat.
        client = self._client.prepare(transport_options=None if report.method == "heartbeat" else ONLY_IF_HEARD)
        if report.confirmed:
            try:
                client.prepare(timeout=CONFIRM_SECONDS).call(context, report.method, **arguments)
                return
            except oslo_messaging.MessagingTimeout:
                # A call that nobody took is gone from the queue by now; one that was taken makes this a repetition,
                # which the conductor knows by its time.
                LOG.warning("The conductor did not confirm '%s' within %d s", report.method, CONFIRM_SECONDS)
        client.cast(context, report.method, **arguments)
