"""The server on oslo.messaging's in-memory bus: calls, casts, the prompt lane, and the end."""

import threading
import time
import types
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import oslo_messaging
import pytest
from amqp.exceptions import RecoverableConnectionError
from oslo_messaging._drivers.amqpdriver import RpcAMQPListener
from oslo_messaging._drivers.base import RpcIncomingMessage

from guestagent.conformance.poll import eventually
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
from guestagent.rpc.server import LateAcknowledgement, Server
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


class Incoming(RpcIncomingMessage):  # type: ignore[misc]
    """A message as the driver for RabbitMQ hands it over, before anybody has told the broker that it is taken."""

    def __init__(self, message: "Message", reply_q: str | None = None) -> None:
        super().__init__({}, message, msg_id="made up for casts")
        self.unique_id = "m1"
        self.reply_q = reply_q

    def reply(self, reply: Any = None, failure: Any = None) -> None:
        if self.reply_q is not None:
            self.message.told.append("reply")

    def requeue(self) -> None:
        raise AssertionError("nothing goes back to the broker")

    def heartbeat(self) -> None:
        raise AssertionError("nobody asked for it")


class Message(dict[str, Any]):
    """What the broker sent.

    :ivar told: what it was told, and how many operations the journal knew then.
    """

    def __init__(self, journal: Journal, method: str, problem: Exception | None = None, **arguments: Any) -> None:
        super().__init__(method=method, args=arguments)
        self._journal = journal
        self._problem = problem
        self.told: list[str | tuple[str, int]] = []

    def acknowledge(self) -> None:
        self.told.append(("acknowledged", len(self._journal.list(10))))
        if self._problem is not None:
            raise self._problem


class TestAcknowledgements:
    """The broker hears that a cast was taken when it cannot be lost any more, and of a call at once."""

    def test_a_cast_is_in_the_journal_first(self, server: Server, journal: Journal, manager: Slow) -> None:
        message = Message(journal, "create_database", databases=[{"_name": "a"}])
        server._on_incoming([Incoming(message)])
        assert message.told == [("acknowledged", 1)]
        assert manager.created == [], "it is taken and not yet done"

    def test_so_is_one_that_was_refused(self, server: Server, journal: Journal) -> None:
        for method in ("create_database", "nosuch"):
            message = Message(journal, method, zz=1)
            server._on_incoming([Incoming(message)])
            assert message.told == [("acknowledged", 0)]

    def test_and_one_that_came_again(self, server: Server, journal: Journal, manager: Slow) -> None:
        for _ in range(2):
            message = Message(journal, "create_database", databases=[{"_name": "a"}])
            server._on_incoming([Incoming(message)])
            assert message.told == [("acknowledged", 1)]

    def test_a_call_is_not_waited_for(self, server: Server, journal: Journal, manager: Slow) -> None:
        message = Message(journal, "list_databases")
        server._on_incoming([Incoming(message, "reply_1")])
        assert message.told == [("acknowledged", 0)]
        assert manager.asked.acquire(timeout=PATIENCE)
        manager.may_answer.set()
        eventually(lambda: message.told == [("acknowledged", 0), "reply"])

    @pytest.mark.parametrize("problem", [ConnectionResetError("gone"), RecoverableConnectionError("gone")], ids=repr)
    def test_a_broker_that_is_gone_will_deliver_it_again(
        self,
        server: Server,
        journal: Journal,
        manager: Slow,
        operations: OperationQueue,
        problem: Exception,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        for trouble in (problem, None):
            message = Message(journal, "create_database", trouble, databases=[{"_name": "a"}])
            server._on_incoming([Incoming(message)])
        manager.may_answer.set()
        operations.drain()
        assert manager.created == ["a"]
        assert "will deliver it again: gone" in caplog.text
        assert "is not done twice" in caplog.text


class TestLateAcknowledgement:
    """The listener takes messages without a word to the broker."""

    @pytest.fixture
    def listener(self) -> RpcAMQPListener:
        """One as oslo.messaging makes it, on a connection that is never used."""
        made = RpcAMQPListener(types.SimpleNamespace(prefetch_size=1), conn=None)
        made.__class__ = LateAcknowledgement
        return made

    def test_what_is_taken_is_not_acknowledged(self, listener: RpcAMQPListener, journal: Journal) -> None:
        message = Message(journal, "create_database")
        message["_unique_id"] = "m1"
        listener(message)
        assert [incoming.message for incoming in listener.incoming] == [message]
        assert listener.incoming[0].unique_id == "m1"
        assert message.told == []

    def test_what_comes_again_is_acknowledged_and_ignored(self, listener: RpcAMQPListener, journal: Journal) -> None:
        first, second = Message(journal, "create_database"), Message(journal, "create_database")
        for message in (first, second):
            message["_unique_id"] = "m1"
            listener(message)
        assert [incoming.message for incoming in listener.incoming] == [first]
        assert (first.told, second.told) == ([], [("acknowledged", 0)])
