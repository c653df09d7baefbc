"""The agent as a process on the real bus, with the datastore that sleeps."""

import secrets

import pytest

from guestagent.conformance.conductor import Conductor
from guestagent.conformance.wire import Wire
from tests.conftest import MakeAgent
from tests.support import sleeper
from tests.support.sleeper import Sleeper

KEYS = (None, secrets.token_hex(16))


@pytest.mark.parametrize("key", KEYS, ids=["plain", "encrypted"])
def test_an_agent_boots_answers_reports_and_leaves(
    make_agent: MakeAgent, wire: Wire, conductor: Conductor, key: str | None
):
    agent = make_agent(sleeper.DATASTORE, key=key)
    if key is not None:
        conductor.keys[agent.guest_id] = key

    agent.boot(wire)
    wire.cast(agent.guest_id, "create_database", {"databases": [{"_name": "one"}]}, key=key)

    report = conductor.wait_for_status(agent.guest_id, "healthy")
    assert (report.problem, report.encrypted_by) == (None, key and agent.guest_id)
    Sleeper(agent).wait_until_created("one")
    page, marker = wire.call(agent.guest_id, "list_databases", key=key)
    assert ([database["_name"] for database in page], marker) == (["one"], None)
    assert agent.terminate() == 0


def test_a_call_is_held_and_others_are_answered_meanwhile(make_agent: MakeAgent, wire: Wire):
    agent = make_agent(sleeper.DATASTORE)
    hand = Sleeper(agent)
    hand.hold("list_databases")
    agent.boot(wire)

    held = wire.begin(agent.guest_id, "list_databases")
    hand.wait_until_began("list_databases")

    assert wire.call(agent.guest_id, "rpc_ping") is True
    assert not held.answered
    hand.release("list_databases")
    assert held.result() == [[], None]


def test_an_agent_that_was_killed_boots_again_and_remembers(make_agent: MakeAgent, wire: Wire):
    agent = make_agent(sleeper.DATASTORE)
    agent.boot(wire)
    wire.cast(agent.guest_id, "create_database", {"databases": [{"_name": "one"}]})
    Sleeper(agent).wait_until_created("one")

    agent.kill()
    assert not agent.running
    agent.boot(wire)

    assert Sleeper(agent).databases() == ["one"]


def test_an_agent_that_ends_at_once_is_told_with_its_log(make_agent: MakeAgent, wire: Wire):
    agent = make_agent("of-no-package")

    with pytest.raises(AssertionError, match="the agent ended with"):
        agent.boot(wire)


def test_options_and_files_reach_the_agent(make_agent: MakeAgent, wire: Wire, conductor: Conductor):
    agent = make_agent(sleeper.DATASTORE, options={"agent": {"report_interval": 3600}, "DEFAULT": {"debug": True}})
    agent.boot(wire)
    conductor.wait_for_status(agent.guest_id, "healthy")
    assert "DEBUG" in agent.text()

    Sleeper(agent).set_status("blocked")
    agent.files["machine.conf"]["agent"]["report_interval"] = 1
    agent.reload()
    agent.wait_for_log("The configuration was read again")
    agent.restart(wire)

    conductor.wait_for_status(agent.guest_id, "blocked")
