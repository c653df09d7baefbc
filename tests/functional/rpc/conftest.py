"""Agents whose datastore is the sleeper."""

import dataclasses
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestagent.conformance.agent import AgentProcess
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire
from tests.conftest import MakeAgent
from tests.support.sleeper import DATASTORE, Sleeper

KEY = "AFpGKhKtrVP0sWr2TDVYd3KOzO0WxtZy"


@dataclasses.dataclass
class Guest:
    """A running agent, and what a test does to it."""

    agent: AgentProcess
    wire: Wire
    sleeper: Sleeper

    @property
    def id(self) -> str:
        return self.agent.guest_id

    def log_lines_since(self, mark: int) -> list[str]:
        """The lines that the log has got since it was ``mark`` characters long."""
        return self.agent.text()[mark:].splitlines()

    def resident_kib(self) -> int:
        """The memory that the agent holds."""
        with Path(f"/proc/{self.agent.process.pid}/status").open() as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


@pytest.fixture
def guest(make_agent: MakeAgent, wire: Wire) -> Guest:
    """An agent of the test's own."""
    agent = make_agent(DATASTORE)
    agent.boot(wire)
    return Guest(agent, wire, Sleeper(agent))


@pytest.fixture(scope="module", params=[None, KEY], ids=["plain", "encrypted"])
def shared_guest(
    rabbit: Rabbit, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Guest]:
    """An agent of the module's own, for tests that leave it as it was; once without and once with a key."""
    rabbit.start()
    exchange = f"trove-{uuid.uuid4().hex[:8]}"
    agent = AgentProcess(
        tmp_path_factory.mktemp("shared") / "guest",
        str(uuid.uuid4()),
        transport_url=rabbit.url,
        exchange=exchange,
        datastore=DATASTORE,
        key=request.param,
    )
    with Wire(rabbit, exchange) as wire:
        agent.boot(wire)
        # What it says when it begins is not what a test asks for.
        agent.wait_for_log("Listening on")
        yield Guest(agent, wire, Sleeper(agent))
        agent.close()
