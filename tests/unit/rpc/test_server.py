"""The server on oslo.messaging's in-memory bus: calls, casts, the prompt lane, and the end."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import oslo_messaging
import pytest

from guestagent.contract.context import RequestContext
from guestagent.contract.databases import Database
from guestagent.contract.errors import NotSupported
from guestagent.guest import Guest
from guestagent.manager import BaseDatastoreManager
from guestagent.operations.journal import Journal
from guestagent.operations.queue import OperationQueue
from guestagent.rpc.conductor import Conductor
from guestagent.rpc.dispatcher import Dispatcher
from guestagent.rpc.envelope import for_instance
from guestagent.rpc.server import Server
from tests.unit.rpc.conftest import GUEST_ID, PATIENCE, ControlPlane

WORKERS = 2
NOTIFICATION = {"notification_classname": "trove.common.notification.DBaaSDatabaseCreate"}


class Slow(BaseDatastoreManager):
    """A database that answers when the test lets it."""

    def __init__(self, guest: Guest) -> None:
        super().__init__(guest)
        self.may_answer = threading.Event()
        self.asked = threading.Semaphore(0)
        self.created: list[str] = []

    def list_databases(
        self,
        context: RequestContext,
        limit: int | None = None,
        marker: str | None = None,
        include_marker: bool = False,
    ) -> tuple[list[Database], str | None]:
        self.asked.release()
        assert self.may_answer.wait(PATIENCE)
        return [], None

    def create_database(self, context: RequestContext, databases: list[Database]) -> None:
        self.asked.release()
        assert self.may_answer.wait(PATIENCE)
        self.created += [database.name for database in databases]


@pytest.fixture
def manager(guest: Guest) -> Iterator[Slow]:
    made = Slow(guest)
    yield made
    made.may_answer.set()


@pytest.fixture
def server(
    transport: oslo_messaging.Transport,
    manager: Slow,
    operations: OperationQueue,
    journal: Journal,
    conductor: Conductor,
) -> Iterator[Server]:
    envelope = for_instance(None, GUEST_ID)
    dispatcher = Dispatcher(manager, envelope, operations, journal, conductor)
    made = Server(transport, GUEST_ID, dispatcher, envelope, WORKERS)
    made.listen()
    yield made
    manager.may_answer.set()
    made.drain(PATIENCE)


@pytest.fixture
def client(transport: oslo_messaging.Transport, server: Server) -> Any:
    """The control plane's client."""
    target = oslo_messaging.Target(topic=f"guestagent.{GUEST_ID}", server=GUEST_ID, version="1.0")
    return oslo_messaging.get_rpc_client(transport, target, timeout=PATIENCE)


def test_a_call_is_answered(client: Any) -> None:
    assert client.call({}, "rpc_ping") is True
    with pytest.raises(NotSupported):
        client.call({}, "list_users")


def test_a_cast_is_queued_and_its_end_is_told(client: Any, manager: Slow, control_plane: ControlPlane) -> None:
    context = {"trove_notification": NOTIFICATION}
    for name in ("first", "second"):
        client.cast(context, "create_database", databases=[{"_name": name}])
    assert manager.asked.acquire(timeout=PATIENCE)
    # Longer than a call would wait for its turn: a cast is never "busy".
    time.sleep(0.4)
    manager.may_answer.set()

    assert [control_plane.next().method for _ in range(2)] == ["notify_end", "notify_end"]
    assert manager.created == ["first", "second"]


def test_a_ping_waits_for_nobody(client: Any, manager: Slow) -> None:
    with ThreadPoolExecutor(2 * WORKERS) as callers:
        waiting = [callers.submit(client.call, {}, "list_databases") for _ in range(2 * WORKERS)]
        for _ in range(WORKERS):
            assert manager.asked.acquire(timeout=PATIENCE)
        assert client.call({}, "rpc_ping") is True
        assert not any(call.done() for call in waiting)
        manager.may_answer.set()
        assert [call.result(PATIENCE) for call in waiting] == [([], None)] * len(waiting)


def test_the_end_waits_for_what_was_taken(client: Any, manager: Slow, server: Server) -> None:
    with ThreadPoolExecutor(2) as callers:
        call = callers.submit(client.call, {}, "list_databases")
        assert manager.asked.acquire(timeout=PATIENCE)
        end = callers.submit(server.drain, PATIENCE)
        assert not end.done()
        manager.may_answer.set()
        assert call.result(PATIENCE) == ([], None)
        end.result(PATIENCE)
