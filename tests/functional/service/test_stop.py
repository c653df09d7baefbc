"""The end of an agent: what was taken is finished, what was not stays in the queue."""

import signal
import time

import pytest

from guestagent.conformance.agent import AgentProcess
from guestagent.conformance.conductor import Conductor
from guestagent.conformance.poll import eventually
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire, request_context
from tests.conftest import MakeAgent
from tests.support.sleeper import DATASTORE, Sleeper

QUICK = 20.0
"""Seconds within which an agent ends that has nothing to finish, on a machine that is busy with other tests."""
NOTIFICATION = "trove.common.notification.DBaaSDatabaseCreate"


def create(wire: Wire, agent: AgentProcess, *names: str) -> None:
    """Send a cast for each database."""
    for name in names:
        databases = {"databases": [{"_name": name}]}
        wire.cast(agent.guest_id, "create_database", databases, context=request_context(NOTIFICATION))


@pytest.fixture
def agent(make_agent: MakeAgent, wire: Wire) -> AgentProcess:
    made = make_agent(DATASTORE)
    made.boot(wire)
    return made


@pytest.fixture
def sleeper(agent: AgentProcess) -> Sleeper:
    return Sleeper(agent)


def test_it_leaves_the_queues_in_which_messages_wait_and_no_other(agent: AgentProcess, broker: Rabbit) -> None:
    assert agent.terminate() == 0
    queues = broker.control("list_queues", "name", "--no-table-headers").split()
    topic = f"guestagent.{agent.guest_id}"
    assert {name for name in queues if name.startswith(topic)} == {topic, f"{topic}.{agent.guest_id}"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_with_nothing_to_finish_it_ends_at_once(agent: AgentProcess, number: signal.Signals) -> None:
    started = time.monotonic()
    agent.process.signal(number)
    assert agent.process.wait(QUICK) == 0
    assert time.monotonic() - started < QUICK


def test_what_runs_is_finished_and_nothing_new_is_taken(
    agent: AgentProcess, sleeper: Sleeper, wire: Wire, conductor: Conductor
) -> None:
    sleeper.hold("create_database")
    create(wire, agent, "runs")
    sleeper.wait_until_began("create_database")

    agent.process.signal(signal.SIGTERM)
    agent.wait_for_log("Stopping")
    eventually(lambda: wire.consumers(agent.guest_id) == 0, message="the agent still listens")
    create(wire, agent, "late")
    call = wire.begin(agent.guest_id, "rpc_ping", timeout=60)
    # Nothing shall happen for a while.
    with pytest.raises(AssertionError, match="still runs"):
        agent.process.wait(1)
    assert wire.waiting(agent.guest_id) == 2

    sleeper.release("create_database")
    assert agent.process.wait(QUICK) == 0
    assert sleeper.databases() == ["runs"]
    assert conductor.wait_for_method(agent.guest_id, "notify_end")
    assert not call.answered

    agent.start()
    assert call.result(60) is True
    eventually(lambda: sleeper.databases() == ["runs", "late"])


def test_what_was_taken_is_done_before_the_end(agent: AgentProcess, sleeper: Sleeper, wire: Wire) -> None:
    names = [f"taken-{number}" for number in range(20)]
    sleeper.hold("create_database")
    sleeper.hold("list_databases")
    reads = [wire.begin(agent.guest_id, "list_databases", timeout=60) for _ in range(12)]
    create(wire, agent, *names)
    sleeper.wait_until_began("list_databases", 8)
    eventually(lambda: wire.waiting(agent.guest_id) == 0)
    wire.call(agent.guest_id, "rpc_ping")

    agent.process.signal(signal.SIGTERM)
    agent.wait_for_log("Stopping")
    sleeper.release("list_databases")
    assert all(isinstance(read.result(), list) for read in reads)
    sleeper.release("create_database")
    assert agent.process.wait(QUICK) == 0
    assert sleeper.databases() == names


def test_long_work_is_not_cut_short(make_agent: MakeAgent, wire: Wire) -> None:
    """oslo.service has a time-out of its own; whatever it is set to, work goes first."""
    agent = make_agent(DATASTORE, options={"DEFAULT": {"graceful_shutdown_timeout": 1}})
    agent.boot(wire)
    sleeper = Sleeper(agent)
    sleeper.hold("create_database")
    create(wire, agent, "long")
    sleeper.wait_until_began("create_database")

    agent.process.signal(signal.SIGTERM)
    with pytest.raises(AssertionError, match="still runs"):
        agent.process.wait(3)
    sleeper.release("create_database")
    assert agent.process.wait(QUICK) == 0
    assert sleeper.databases() == ["long"]


def test_more_signals_change_nothing(agent: AgentProcess, sleeper: Sleeper, wire: Wire) -> None:
    sleeper.hold("create_database")
    create(wire, agent, "runs")
    sleeper.wait_until_began("create_database")

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        agent.process.signal(number)
    agent.wait_for_log("Stopping")
    with pytest.raises(AssertionError, match="still runs"):
        agent.process.wait(1)
    sleeper.release("create_database")
    assert agent.process.wait(QUICK) == 0
    assert sleeper.databases() == ["runs"]


def test_its_heart_beats_to_the_end(agent: AgentProcess, sleeper: Sleeper, wire: Wire, conductor: Conductor) -> None:
    sleeper.hold("create_database")
    create(wire, agent, "runs")
    sleeper.wait_until_began("create_database")
    agent.process.signal(signal.SIGTERM)
    agent.wait_for_log("Stopping")

    mark = len(conductor.reports)
    for number in range(2):
        conductor.wait_for_status(agent.guest_id, "healthy", after=mark + number)
    sleeper.release("create_database")
    assert agent.process.wait(QUICK) == 0
