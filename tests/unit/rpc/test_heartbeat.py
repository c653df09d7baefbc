"""What the heart says, and what it does about a server that died."""

import contextlib
import threading

import pytest

from guestagent.contract.context import RequestContext
from guestagent.contract.errors import DatastoreError
from guestagent.contract.states import Phase, ServiceStatus
from guestagent.guest import Guest
from guestagent.heartbeat import Heartbeat
from guestagent.manager import BaseDatastoreManager
from guestagent.operations.journal import Journal
from guestagent.operations.operation import Operation, Request
from guestagent.operations.queue import OperationQueue
from guestagent.rpc.conductor import Conductor
from tests.unit.rpc.conftest import PATIENCE, ControlPlane
from tests.unit.storage.full_disk import full_disk


class Server(BaseDatastoreManager):
    """A database server that lives and dies as the test says."""

    def __init__(self, guest: Guest) -> None:
        super().__init__(guest)
        self.status = ServiceStatus.HEALTHY
        self.mistake: Exception | None = None
        self.starts = 0

    def prepare(self, context: RequestContext, **arguments: object) -> None:  # type: ignore[override]
        """Supported, so that the instance has phases."""

    def service_status(self) -> ServiceStatus:
        if self.mistake is not None:
            raise self.mistake
        return self.status

    def ensure_running(self) -> None:
        self.starts += 1
        if self.mistake is not None:
            raise self.mistake


class WithoutPrepare(BaseDatastoreManager):
    """A datastore that comes up by itself and has nothing to prepare."""

    def service_status(self) -> ServiceStatus:
        return ServiceStatus.RUNNING


@pytest.fixture
def server(guest: Guest) -> Server:
    guest.record.change(phase=Phase.READY)
    return Server(guest)


@pytest.fixture
def heartbeat(server: Server, operations: OperationQueue, conductor: Conductor) -> Heartbeat:
    return Heartbeat(server, operations, conductor)


def said(control_plane: ControlPlane) -> str:
    """The status in the next report, which is a heartbeat."""
    report = control_plane.next()
    assert report.method == "heartbeat"
    status: str = report.arguments["payload"]["service_status"]
    return status


@pytest.mark.parametrize(
    ("phase", "status"),
    [(Phase.NEW, "building"), (Phase.PREPARING, "building"), (Phase.FAILED, "failed to spawn")],
)
def test_before_the_instance_is_ready_the_record_says_how_it_is(
    heartbeat: Heartbeat, server: Server, control_plane: ControlPlane, phase: Phase, status: str
) -> None:
    server.mistake = AssertionError("there is no server to ask")
    server.guest.record.change(phase=phase)
    heartbeat.beat()
    assert said(control_plane) == status


@pytest.mark.parametrize("status", [ServiceStatus.HEALTHY, ServiceStatus.SHUTDOWN, ServiceStatus.BLOCKED])
def test_afterwards_the_server_says_it(
    heartbeat: Heartbeat, server: Server, control_plane: ControlPlane, status: ServiceStatus
) -> None:
    server.status = status
    heartbeat.beat()
    assert said(control_plane) == status.value


def test_a_datastore_without_prepare_is_asked_from_the_start(
    guest: Guest, operations: OperationQueue, conductor: Conductor, control_plane: ControlPlane
) -> None:
    Heartbeat(WithoutPrepare(guest), operations, conductor).beat()
    assert said(control_plane) == "running"


def test_what_the_journal_had_no_room_for_is_written_down_with_a_beat(
    heartbeat: Heartbeat, operations: OperationQueue, journal: Journal
) -> None:
    with contextlib.ExitStack() as disk:
        operations.run(
            Operation("work", "-", lambda: disk.enter_context(full_disk()), Request("", {}, {}, awaited=True))
        )
    assert [one.state for one in journal.list(5)] == ["running"]
    heartbeat.beat()
    assert [one.state for one in journal.list(5)] == ["done"]


def test_a_plugin_that_cannot_tell_does_not_silence_the_heart(
    heartbeat: Heartbeat, server: Server, control_plane: ControlPlane, caplog: pytest.LogCaptureFixture
) -> None:
    server.mistake = KeyError("oops")
    heartbeat.beat()
    assert said(control_plane) == "unknown"
    assert "oops" in caplog.text

    server.mistake = None
    heartbeat.beat()
    assert said(control_plane) == "healthy"


def test_a_server_that_died_is_started(heartbeat: Heartbeat, server: Server, operations: OperationQueue) -> None:
    server.status = ServiceStatus.CRASHED
    heartbeat.beat()
    operations.drain()
    assert server.starts == 1


@pytest.mark.parametrize("status", [ServiceStatus.HEALTHY, ServiceStatus.SHUTDOWN, ServiceStatus.BLOCKED])
def test_one_that_did_not_is_left_alone(
    heartbeat: Heartbeat, server: Server, operations: OperationQueue, status: ServiceStatus
) -> None:
    server.status = status
    heartbeat.beat()
    operations.drain()
    assert server.starts == 0


def test_while_something_else_is_done_a_dead_server_is_left_alone(
    heartbeat: Heartbeat, server: Server, operations: OperationQueue
) -> None:
    may_end = threading.Event()
    restart = Operation("restart", "req-1", lambda: may_end.wait(PATIENCE))
    operations.enqueue(restart)
    assert restart.started.wait(PATIENCE)

    server.status = ServiceStatus.CRASHED
    heartbeat.beat()
    may_end.set()
    operations.drain()
    assert server.starts == 0


@pytest.mark.parametrize("mistake", [DatastoreError(subject="Starting", problem="disk full"), KeyError("oops")])
def test_a_start_that_fails_is_in_the_log_and_the_heart_goes_on(
    heartbeat: Heartbeat,
    server: Server,
    operations: OperationQueue,
    control_plane: ControlPlane,
    caplog: pytest.LogCaptureFixture,
    mistake: Exception,
) -> None:
    server.mistake = mistake
    heartbeat.ensure_running()
    operations.drain()
    assert str(mistake) in caplog.text

    server.mistake = None
    heartbeat.beat()
    assert said(control_plane) == "healthy"


def test_a_leaving_agent_starts_nothing(heartbeat: Heartbeat, server: Server, operations: OperationQueue) -> None:
    operations.drain()
    server.status = ServiceStatus.CRASHED
    heartbeat.beat()
    assert server.starts == 0
