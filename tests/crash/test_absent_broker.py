"""The broker goes away while an operation runs, and is away while the agent dies and starts again."""

import os
import signal
from collections.abc import Iterator

import pytest

from guestagent.conformance import journal, killed_agent
from guestagent.conformance.killed_agent import Moment
from guestagent.conformance.mortal import is_stopped
from guestagent.conformance.poll import eventually
from guestagent.conformance.rabbit import Rabbit
from guestagent.contract.operations import CodePath
from tests.crash import backups
from tests.crash.conftest import MakeGuest
from tests.crash.guest import PATIENCE, Guest, Sent
from tests.crash.scenarios import BOTH_PATHS
from tests.crash.state import litter

AWAY = {False: 5.0, True: 60.0}
"""Seconds, by whether everything is tried."""
BACK = 60.0
"""Seconds within which everybody has found a broker that is there again."""
NAMES = ["absent_1", "absent_2"]
AMIDST = Moment("create_database", killed_agent.BEGUN, "create databases", "create database 2: 'absent_2'")


@pytest.fixture(params=BOTH_PATHS, ids=lambda path: path.value)
def guest(request: pytest.FixtureRequest, make_guest: MakeGuest, crash_broker: Rabbit) -> Iterator[Guest]:
    """A prepared guest; its broker is there again afterwards."""
    crash_broker.start()
    guest = make_guest(request.param)
    guest.prepare()
    guest.wait_for_rest()
    yield guest
    crash_broker.start()
    guest.wire.reconnect()


@pytest.mark.whole
def test_the_end_of_an_operation_is_told_when_the_broker_is_back(
    guest: Guest, crash_broker: Rabbit, is_whole: bool
) -> None:
    sent = _stopped_amidst(guest)
    crash_broker.stop()
    os.kill(guest.agent.process.pid, signal.SIGCONT)
    eventually(lambda: _end(guest, sent) == ("done", False), timeout=PATIENCE)
    _stays_alive(guest, AWAY[is_whole])
    _come_back(guest, crash_broker)
    _hear_the_end(guest, sent, "notify_end")
    _is_as_it_should_be(guest, NAMES)


def test_an_agent_that_starts_without_a_broker_ends_what_was_left(
    guest: Guest, crash_broker: Rabbit, is_whole: bool
) -> None:
    sent = _stopped_amidst(guest)
    crash_broker.stop()
    guest.agent.kill()
    guest.agent.start()
    wanted = "done" if guest.path is CodePath.CONVERGENCE else "failed"
    eventually(lambda: _end(guest, sent) == (wanted, False), timeout=PATIENCE, message=guest.agent.tail)
    _stays_alive(guest, AWAY[is_whole])
    _come_back(guest, crash_broker)
    _hear_the_end(guest, sent, "notify_end" if wanted == "done" else "notify_exc_info")
    _is_as_it_should_be(guest, NAMES if wanted == "done" else NAMES[:1])


@pytest.mark.whole
def test_an_end_that_nobody_could_hear_is_told_by_the_next_agent(guest: Guest, crash_broker: Rabbit) -> None:
    sent = _stopped_amidst(guest)
    crash_broker.stop()
    os.kill(guest.agent.process.pid, signal.SIGCONT)
    eventually(lambda: _end(guest, sent) == ("done", False), timeout=PATIENCE)
    guest.agent.kill()
    crash_broker.start()
    guest.wire.reconnect()
    guest.conductor.wait_until_listening(BACK)
    guest.boot()
    _hear_the_end(guest, sent, "notify_end")
    _is_as_it_should_be(guest, NAMES)


@pytest.mark.whole
@pytest.mark.parametrize("path", BOTH_PATHS, ids=lambda path: path.value)
def test_a_backup_that_is_made_meanwhile_is_told_when_the_broker_is_back(
    make_guest: MakeGuest, crash_broker: Rabbit, path: CodePath
) -> None:
    crash_broker.start()
    store = backups.prepared(make_guest, path)
    guest = store.guest
    guest.slow_down(io_limit=2_000_000)
    sent = store.ask(guest)
    eventually(lambda: store.state() == "BUILDING", timeout=PATIENCE)
    crash_broker.stop()
    eventually(lambda: _end(guest, sent) == ("done", False), timeout=PATIENCE, message=guest.agent.tail)
    _come_back(guest, crash_broker)
    _hear_the_end(guest, sent, "notify_end")
    guest.wait_for_rest()
    assert store.look()["store.made"] == [("full", "good")]
    assert store.completed()["location"]
    assert litter(guest) == []


def _stopped_amidst(guest: Guest) -> Sent:
    """An operation that has stopped in its middle."""
    guest.script.stop_at(AMIDST)
    sent = guest.send("create_database", {"databases": [{"_name": name} for name in NAMES]})
    eventually(lambda: is_stopped(guest.agent.process.pid), timeout=PATIENCE, message="the agent did not come there")
    return sent


def _end(guest: Guest, sent: Sent) -> tuple[str, bool] | None:
    """What the journal says: the state of the operation, and whether its end was told."""
    statement = "SELECT state, told FROM operations WHERE request_id = ?"
    found = journal.rows(guest.agent.state_dir, statement, sent.request_id)
    return (found[0][0], bool(found[0][1])) if found else None


def _stays_alive(guest: Guest, seconds: float) -> None:
    """The agent bears it for so long that there is no broker."""
    with pytest.raises(AssertionError, match="still runs"):
        guest.agent.process.wait(seconds)


def _come_back(guest: Guest, broker: Rabbit) -> None:
    broker.start()
    guest.wire.reconnect()
    guest.wire.declare_guest(guest.id)
    guest.conductor.wait_until_listening(BACK)


def _hear_the_end(guest: Guest, sent: Sent, method: str) -> None:
    guest.conductor.wait_for(
        lambda report: (
            report.method == method and report.args["serialized_notification"]["request_id"] == sent.request_id
        ),
        BACK,
        what=method,
    )


def _is_as_it_should_be(guest: Guest, names: list[str]) -> None:
    guest.agent.wait_until_answers(guest.wire, BACK)
    guest.wait_for_rest()
    guest.conductor.wait_for_status(guest.id, "healthy", timeout=BACK, after=len(guest.conductor.reports))
    found = [name for (name,) in guest.rows("SELECT schema_name FROM information_schema.schemata ORDER BY 1")]
    assert [name for name in found if name in NAMES] == names
    assert litter(guest) == []
