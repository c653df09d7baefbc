"""SIGHUP: options that may change do, and nobody notices anything else."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from guestagent.conformance.agent import AgentProcess
from guestagent.conformance.conductor import Conductor
from guestagent.conformance.poll import eventually
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire
from tests.conftest import MakeAgent
from tests.support.sleeper import DATASTORE, Sleeper

RELOADED = "The configuration was read again"
REFUSED = "The configuration was not read again"
RELOADS = 20


@pytest.fixture
def agent(make_agent: MakeAgent, wire: Wire) -> AgentProcess:
    made = make_agent(DATASTORE, options={"agent": {"report_interval": 3600, "busy_wait": 3600}})
    made.boot(wire)
    return made


def reload_with(agent: AgentProcess, group: str, **values: object) -> None:
    """Change options in the files and wait until the agent has read them."""
    before = agent.text().count(RELOADED)
    agent.files["machine.conf"].setdefault(group, {}).update(values)
    agent.reload()
    eventually(lambda: agent.text().count(RELOADED) > before)


def test_the_interval_of_the_heart(agent: AgentProcess, conductor: Conductor) -> None:
    reload_with(agent, "agent", report_interval=1)
    mark = len(conductor.reports)
    for number in range(3):
        conductor.wait_for_status(agent.guest_id, "healthy", after=mark + number, timeout=10)


def test_how_long_a_change_waits_for_its_turn(agent: AgentProcess, wire: Wire) -> None:
    reload_with(agent, "agent", busy_wait=1)
    sleeper = Sleeper(agent)
    sleeper.hold("create_database")
    wire.cast(agent.guest_id, "create_database", {"databases": [{"_name": "shop"}]})
    sleeper.wait_until_began("create_database")
    failure = wire.ask(agent.guest_id, "restart").failure
    assert failure is not None
    assert failure.class_name == "Busy"
    sleeper.release("create_database")


def test_how_much_is_logged(agent: AgentProcess, wire: Wire) -> None:
    assert " DEBUG " not in agent.text()
    reload_with(agent, "DEFAULT", debug=True)
    agent.wait_for_log(" DEBUG ")


def test_no_call_is_lost_and_no_cast_done_twice(agent: AgentProcess, wire: Wire, broker: Rabbit, exchange: str) -> None:
    over = threading.Event()

    def call() -> int:
        answered = 0
        with Wire(broker, exchange) as client:
            while not over.wait(0.001):
                assert client.call(agent.guest_id, "rpc_ping") is True
                assert client.call(agent.guest_id, "restart") is None
                answered += 1
        return answered

    names = [f"d{number}" for number in range(RELOADS * 5)]
    with ThreadPoolExecutor(2) as clients:
        calling = [clients.submit(call) for _ in range(2)]
        try:
            for number in range(RELOADS):
                for name in names[number * 5 : number * 5 + 5]:
                    wire.cast(agent.guest_id, "create_database", {"databases": [{"_name": name}]})
                reload_with(agent, "agent", server_stop_timeout=100 + number)
        finally:
            over.set()
        assert all(client.result(30) > 0 for client in calling)
    eventually(lambda: len(Sleeper(agent).databases()) >= len(names))
    assert Sleeper(agent).databases() == names


@pytest.mark.parametrize(
    "spoilt",
    ["[agent\nreport_interval = 1\n", "[agent]\nreport_interval = soon\n", "[agent]\nreport_interval = 0\n"],
    ids=["no syntax", "no number", "out of bounds"],
)
def test_a_file_that_cannot_be_read_leaves_everything_as_it_was(
    agent: AgentProcess, wire: Wire, conductor: Conductor, spoilt: str
) -> None:
    (agent.config_dir / "zz.conf").write_text(spoilt)
    agent.process.signal(signal.SIGHUP)
    agent.wait_for_log(REFUSED)
    assert RELOADED not in agent.text()
    assert "Traceback" not in agent.text()
    assert wire.call(agent.guest_id, "rpc_ping") is True

    (agent.config_dir / "zz.conf").unlink()
    reload_with(agent, "agent", report_interval=1)
    conductor.wait_for_status(agent.guest_id, "healthy")
    assert agent.terminate(10) == 0


def test_what_may_not_change_does_not(agent: AgentProcess, wire: Wire, conductor: Conductor) -> None:
    agent.files["guest_info.conf"]["DEFAULT"]["guest_id"] = "somebody-else"
    reload_with(agent, "agent", report_interval=1)
    assert conductor.wait_for(lambda report: report.method == "heartbeat").instance_id == agent.guest_id
    assert wire.call(agent.guest_id, "rpc_ping") is True
