"""Operations as they are seen over the wire, and what a killed agent's successor does about them."""

import contextlib
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from guestagent.conformance.agent import AgentProcess
from guestagent.conformance.code_path import PATH
from guestagent.conformance.conductor import Conductor
from guestagent.conformance.journal import rows
from guestagent.conformance.poll import eventually
from guestagent.conformance.wire import CallFailed, Wire, request_context
from tests.conftest import MakeAgent
from tests.support.sleeper import DATASTORE, Sleeper

OWN = "guestagent"
NOTIFICATION = "trove.common.notification.DBaaSBackupCreate"
STEPS = ("first", "second", "third", "fourth")
SECRET = "a-secret-of-the-request"


@pytest.fixture
def agent(make_agent: MakeAgent, wire: Wire) -> AgentProcess:
    made = make_agent(DATASTORE)
    made.boot(wire)
    return made


@pytest.fixture
def sleeper(agent: AgentProcess) -> Iterator[Sleeper]:
    made = Sleeper(agent)
    yield made
    for call in (f"create_backup.{step}" for step in STEPS):
        with contextlib.suppress(FileNotFoundError):
            made.release(call)


def back_up(wire: Wire, agent: AgentProcess, backup_id: str | None = None) -> None:
    context = request_context(NOTIFICATION, auth_token=SECRET)
    info = {"id": backup_id or uuid.uuid4().hex, "password": SECRET}
    wire.cast(agent.guest_id, "create_backup", {"backup_info": info}, context=context)


def listed(wire: Wire, agent: AgentProcess) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = wire.call(agent.guest_id, "operation_list", namespace=OWN)
    return found


def shown(wire: Wire, agent: AgentProcess, operation_id: str) -> dict[str, Any]:
    found: dict[str, Any] = wire.call(agent.guest_id, "operation_show", {"operation_id": operation_id}, namespace=OWN)
    return found


def wait_for_state(wire: Wire, agent: AgentProcess, state: str) -> dict[str, Any]:
    """The newest operation, when it has that state."""
    eventually(lambda: [one["state"] for one in listed(wire, agent)][:1] == [state], message=f"it is not {state}")
    return shown(wire, agent, listed(wire, agent)[0]["id"])


def test_an_operation_is_seen_while_it_runs_and_afterwards(agent: AgentProcess, sleeper: Sleeper, wire: Wire) -> None:
    sleeper.hold("create_backup.third")
    back_up(wire, agent)
    sleeper.wait_until_began("create_backup.third")

    [running] = listed(wire, agent)
    assert (running["call"], running["state"], running["engine"]) == ("create_backup", "running", PATH.value)
    assert (running["phase"], running["percent"], running["cancellable"]) == ("third", 50, True)
    assert running["accepted"] <= running["started"] <= running["updated"]
    assert running["ended"] is None
    assert running["request_id"].startswith("req-")
    status = wire.call(agent.guest_id, "get_status", namespace=OWN)
    assert status["operation"]["name"] == "create_backup"

    sleeper.release("create_backup.third")
    done = wait_for_state(wire, agent, "done")
    assert (done["phase"], done["percent"], done["error"], done["cancellable"]) == (None, 100, None, False)
    assert [step["name"] for step in done["steps"]] == list(STEPS)
    assert SECRET not in str(done)


def test_what_is_kept_of_a_request_cannot_be_read_on_the_disk(
    agent: AgentProcess, sleeper: Sleeper, wire: Wire
) -> None:
    sleeper.hold("create_backup.first")
    back_up(wire, agent)
    sleeper.wait_until_began("create_backup.first")
    for path in agent.state_dir.glob("journal*"):
        assert path.stat().st_mode & 0o077 == 0, path
        assert SECRET.encode() not in path.read_bytes(), path
    sleeper.release("create_backup.first")
    wait_for_state(wire, agent, "done")


def test_one_that_runs_is_cancelled_out_of_its_wait_and_undone(
    agent: AgentProcess, sleeper: Sleeper, wire: Wire, conductor: Conductor
) -> None:
    sleeper.hold("create_backup.second")
    back_up(wire, agent)
    sleeper.wait_until_began("create_backup.second")
    [running] = listed(wire, agent)
    wire.call(agent.guest_id, "operation_cancel", {"operation_id": running["id"]}, namespace=OWN)

    cancelled = wait_for_state(wire, agent, "cancelled")
    assert cancelled["error"] == "'create_backup' was cancelled in step 'second'."
    assert sleeper.undone() == ["second", "first"]
    with pytest.raises(CallFailed, match="cannot be cancelled: it has ended"):
        wire.call(agent.guest_id, "operation_cancel", {"operation_id": running["id"]}, namespace=OWN)


def test_one_that_waits_for_its_turn_is_cancelled_at_once_and_never_begins(
    agent: AgentProcess, sleeper: Sleeper, wire: Wire, conductor: Conductor
) -> None:
    sleeper.hold("create_backup.first")
    back_up(wire, agent)
    sleeper.wait_until_began("create_backup.first")
    databases = {"databases": [{"_name": "never"}]}
    context = request_context("trove.common.notification.DBaaSDatabaseCreate")
    wire.cast(agent.guest_id, "create_database", databases, context=context)
    waiting = eventually(lambda: [one for one in listed(wire, agent) if one["state"] == "queued"])
    wire.call(agent.guest_id, "operation_cancel", {"operation_id": waiting[0]["id"]}, namespace=OWN)

    report = conductor.wait_for_method(agent.guest_id, "notify_exc_info")
    assert report.args["message"] == "'create_database' was cancelled before it began."
    sleeper.release("create_backup.first")
    eventually(lambda: [one["state"] for one in listed(wire, agent)] == ["cancelled", "done"])
    assert sleeper.databases() == []


def test_what_is_not_there_cannot_be_shown_or_cancelled(agent: AgentProcess, wire: Wire) -> None:
    for call in ("operation_show", "operation_cancel"):
        with pytest.raises(CallFailed, match="Operation 'nothing' does not exist"):
            wire.call(agent.guest_id, call, {"operation_id": "nothing"}, namespace=OWN)


def test_a_message_that_comes_twice_is_done_once(agent: AgentProcess, sleeper: Sleeper, wire: Wire) -> None:
    message = wire.message("create_database", {"databases": [{"_name": "once"}]})
    wire.send_message(agent.guest_id, message)
    eventually(lambda: sleeper.databases() == ["once"])
    # The agent of before has forgotten it, and its journal has not.
    agent.restart(wire)
    wire.send_message(agent.guest_id, message)
    agent.wait_for_log("is not done twice")
    assert sleeper.databases() == ["once"]


def test_a_backup_that_is_asked_for_twice_is_made_once(agent: AgentProcess, sleeper: Sleeper, wire: Wire) -> None:
    for _ in range(2):
        back_up(wire, agent, "backup-1")
    back_up(wire, agent, "backup-2")
    eventually(lambda: len(listed(wire, agent)) == 2 and {one["state"] for one in listed(wire, agent)} == {"done"})
    assert len(sleeper.began("create_backup.fourth")) == 2


def test_a_cast_that_was_accepted_outlives_the_agent_and_its_end_is_told(
    agent: AgentProcess, sleeper: Sleeper, wire: Wire, conductor: Conductor
) -> None:
    sleeper.hold("create_backup.third")
    back_up(wire, agent)
    sleeper.wait_until_began("create_backup.third")
    agent.kill()
    sleeper.release("create_backup.third")
    heard = len(conductor.reports)
    agent.boot(wire)

    report = conductor.wait_for_method(agent.guest_id, "notify_end", "notify_exc_info", after=heard)
    [operation] = listed(wire, agent)
    if PATH.value == "convergence":
        assert report.method == "notify_end"
        assert operation["state"] == "done"
        assert [len(sleeper.began(f"create_backup.{step}")) for step in STEPS] == [1, 1, 2, 1]
        assert sleeper.undone() == []
    else:
        assert re.match("The guest agent ended while it did 'create_backup'", report.args["message"])
        assert operation["state"] == "failed"
        assert [len(sleeper.began(f"create_backup.{step}")) for step in STEPS] == [1, 1, 1, 0]
        assert sleeper.undone() == ["third", "second", "first"]


def test_the_end_of_a_cast_is_told_by_the_next_agent_when_the_broker_was_away(
    agent: AgentProcess, sleeper: Sleeper, wire: Wire, conductor: Conductor
) -> None:
    sleeper.hold("create_backup.fourth")
    back_up(wire, agent)
    sleeper.wait_until_began("create_backup.fourth")
    conductor_heard = len(conductor.reports)
    broker = wire.broker
    broker.stop()
    sleeper.release("create_backup.fourth")
    # In the journal, and not only in the log: what is not there has not ended for the next agent.
    eventually(lambda: rows(agent.state_dir, "SELECT 1 FROM operations WHERE state = 'done'"), timeout=30)
    agent.kill()
    broker.start()
    wire.reconnect()
    conductor.wait_until_listening()
    agent.boot(wire)
    report = conductor.wait_for_method(
        agent.guest_id, "notify_end", "notify_exc_info", after=conductor_heard, timeout=60
    )
    assert report.method == "notify_end"


def test_an_engine_is_converted_once_and_for_all(agent: AgentProcess, sleeper: Sleeper, wire: Wire) -> None:
    converted = wire.call(agent.guest_id, "convert_engine", namespace=OWN)
    assert converted == {"before": PATH.value, "after": "convergence"}
    assert wire.call(agent.guest_id, "convert_engine", namespace=OWN)["before"] == "convergence"
    agent.restart(wire)
    assert wire.call(agent.guest_id, "get_status", namespace=OWN)["code_path"] == "convergence"


def test_an_engine_is_not_converted_while_the_guest_is_at_work(make_agent: MakeAgent, wire: Wire) -> None:
    agent = make_agent(DATASTORE, options={"agent": {"busy_wait": 1}})
    agent.boot(wire)
    sleeper = Sleeper(agent)
    sleeper.hold("create_backup.first")
    back_up(wire, agent)
    sleeper.wait_until_began("create_backup.first")
    with pytest.raises(CallFailed, match=r"busy with 'create_backup' .*'convert_engine' was not started"):
        wire.call(agent.guest_id, "convert_engine", namespace=OWN)
    sleeper.release("create_backup.first")
    wait_for_state(wire, agent, "done")


@pytest.mark.parametrize("damage", [b"", b"not a database at all, but long enough to be one" * 100])
def test_a_damaged_journal_is_set_aside_and_said(
    conductor: Conductor, agent: AgentProcess, sleeper: Sleeper, wire: Wire, damage: bytes
) -> None:
    # With nobody to take its reports, the agent would leave the whole journal beside the file, where it is found.
    back_up(wire, agent)
    wait_for_state(wire, agent, "done")
    agent.terminate()
    (agent.state_dir / "journal.db").write_bytes(damage)
    agent.boot(wire)
    assert listed(wire, agent) == []
    back_up(wire, agent)
    wait_for_state(wire, agent, "done")
    if damage:
        assert "is damaged" in agent.text()
        assert [path.read_bytes() for path in agent.state_dir.glob("journal.db.damaged-*")] == [damage]
