"""The other end of the wire: a stand-in for the control plane, as far as one guest can see it."""

import json
import threading
import time
import uuid
from types import TracebackType
from typing import Any, Self

import oslo_messaging
from oslo_config import cfg

from examples.screen import Screen
from guestagent.contract.call import OWN, TROVE
from guestagent.contract.errors import GuestAgentError
from guestagent.rpc.client import Client
from guestagent.rpc.transport import connect

PATIENCE = 90
"""Seconds to wait for anything; on a slow disk MariaDB's first start is the longest of it."""


class Unexpected(Exception):
    """Something was not as it should be; the sentence says what."""


class Heard:
    """What the conductor has heard so far, and a way to wait for more."""

    def __init__(self) -> None:
        self.statuses: list[str] = []
        self._ends: dict[str, str | None] = {}
        self._changed = threading.Condition()

    def add_status(self, status: str) -> bool:
        """Remember a heartbeat; whether it says something new."""
        with self._changed:
            news = not self.statuses or self.statuses[-1] != status
            self.statuses.append(status)
            self._changed.notify_all()
            return news

    def add_end(self, request_id: str, error: str | None) -> None:
        """Remember how a cast has ended."""
        with self._changed:
            self._ends[request_id] = error
            self._changed.notify_all()

    def wait_for_status(self, status: str, since: int = 0) -> None:
        """Wait for a heartbeat that says so.

        :param since: how many heartbeats to leave out.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: status in self.statuses[since:], PATIENCE):
                last = self.statuses[-1] if self.statuses else "nothing"
                raise Unexpected(f"no heartbeat said '{status}' within {PATIENCE} s; the last one said '{last}'")

    def wait_for_end(self, request_id: str) -> str | None:
        """Wait until a cast has ended, and return its error if it failed."""
        with self._changed:
            if not self._changed.wait_for(lambda: request_id in self._ends, PATIENCE):
                raise Unexpected(f"request {request_id} did not end within {PATIENCE} s")
            return self._ends[request_id]


class Conductor:
    """The endpoint that agents report to; the signatures are those of the real one."""

    target = oslo_messaging.Target(version="1.0")

    def __init__(self, heard: Heard, screen: Screen) -> None:
        self._heard = heard
        self._screen = screen

    def heartbeat(self, context: dict[str, Any], instance_id: str, payload: dict[str, str], sent: float) -> None:
        """How the service is."""
        status = payload["service_status"]
        if self._heard.add_status(status):
            self._screen.says("conductor", f"heard a heartbeat: {status}")

    def notify_end(
        self,
        context: dict[str, Any],
        serialized_notification: dict[str, Any],
        notification_args: dict[str, Any],
    ) -> None:
        """A cast has ended well."""
        self._screen.says("conductor", f"heard that {serialized_notification['notification_classname']} has ended well")
        self._heard.add_end(context["request_id"], None)

    def notify_exc_info(
        self, context: dict[str, Any], serialized_notification: dict[str, Any], message: str, exception: list[str]
    ) -> None:
        """A cast has failed; a real control plane shows the message as the instance's fault."""
        name = serialized_notification["notification_classname"]
        self._screen.says("conductor", f"heard that {name} has failed: {message}")
        self._heard.add_end(context["request_id"], message)


class ControlPlane:
    """Asks the guest for things, and listens to what it reports; use it as a context manager.

    :param conf: the guest's own options: both ends use the same broker.
    :param screen: where every message is shown.
    """

    def __init__(self, conf: cfg.ConfigOpts, screen: Screen) -> None:
        self._screen = screen
        self.heard = Heard()
        self._client = Client(conf)
        self._transport = connect(conf)
        target = oslo_messaging.Target(topic=conf.conductor_queue, server="stand-in", version="1.0")
        self._server = oslo_messaging.get_rpc_server(
            self._transport, target, [Conductor(self.heard, screen)], executor="threading"
        )

    def __enter__(self) -> Self:
        self._server.start()
        self._client.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()
        self._server.wait()
        self._client.__exit__(kind, error, trace)
        self._transport.cleanup()

    def call(self, method: str, arguments: dict[str, Any] | None = None, *, own: bool = False) -> Any:
        """Ask, and show the question and the answer.

        :param own: it is one of the agent's own calls, whose answers are too long to show.
        """
        self._show("calls", method, arguments or {})
        result = self._client.call(
            method, arguments or {}, namespace=OWN if own else TROVE, context=_context(method), timeout=PATIENCE
        )
        if not own:
            self._screen.says("agent", "has done it" if result is None else f"answers {json.dumps(result)}")
        return result

    def refusal(self, method: str, arguments: dict[str, Any] | None = None) -> str:
        """Ask for what the guest should refuse, and return its sentence."""
        self._show("calls", method, arguments or {})
        try:
            self._client.call(method, arguments or {}, context=_context(method), timeout=PATIENCE)
        except GuestAgentError as error:
            self._screen.says("agent", f"refuses: {error}")
            return str(error)
        raise Unexpected(f"{method} should have been refused, and was answered")

    def cast(self, method: str, arguments: dict[str, Any]) -> str | None:
        """Ask for what nobody answers, wait for its end at the conductor, and return the error if there was one."""
        self._show("casts", method, arguments)
        context = _context(method)
        self._client.cast(method, arguments, context=context)
        return self.heard.wait_for_end(context["request_id"])

    def wait_until_listening(self) -> None:
        """Wait until the agent answers."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                self._client.call("rpc_ping", {}, timeout=1)
            except GuestAgentError:
                continue
            return
        raise Unexpected(f"the agent did not answer within {PATIENCE} s")

    def _show(self, verb: str, method: str, arguments: dict[str, Any]) -> None:
        shown = ", ".join(f"{name}={json.dumps(_without_passwords(value))}" for name, value in arguments.items())
        self._screen.says("control plane", f"{verb} {method}({shown})")


def _context(method: str) -> dict[str, Any]:
    """Who asks; what is in ``trove_notification`` comes back with the end of a cast."""
    return {
        "user": "demo",
        "project_id": "demo",
        "is_admin": True,
        "request_id": f"req-{uuid.uuid4()}",
        "trove_notification": {"notification_classname": method, "server_type": "guest"},
    }


def _without_passwords(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: "***" if key == "_password" else _without_passwords(item) for key, item in value.items()}
    return [_without_passwords(item) for item in value] if isinstance(value, list) else value
