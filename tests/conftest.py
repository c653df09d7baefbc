"""What every test can ask for, and the rule that nothing is left out where it counts."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from guestagent.conformance.agent import AgentProcess
from guestagent.conformance.conductor import Conductor
from guestagent.conformance.disk import make_disk
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire
from guestagent.system import threads

# As the agent's own commands do: before any other conftest or test imports an oslo library.
threads.select()

__all__ = ["make_disk"]

ENTIRE = bool(os.environ.get("CI"))
"""Whether a test that is left out counts as one that failed."""

MakeAgent = Callable[..., AgentProcess]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: "pytest.CallInfo[None]") -> Any:
    return _without_skips((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Any:
    return _without_skips((yield))


def _without_skips(report: Any) -> Any:
    """The report; in CI, a test or module that was left out is one that failed."""
    if ENTIRE and report.skipped and not hasattr(report, "wasxfail"):
        _, _, reason = report.longrepr
        report.outcome = "failed"
        report.longrepr = f"nothing may be left out here: {reason}"
    return report


@pytest.fixture(scope="session")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rabbit]:
    """The one broker of the session; ask for ``broker`` instead."""
    with Rabbit(tmp_path_factory.mktemp("rabbit")) as rabbit:
        yield rabbit


@pytest.fixture(scope="session")
def bus(rabbit: Rabbit) -> Rabbit:
    """The broker of the conformance kit's guests: the session's."""
    return rabbit


@pytest.fixture
def broker(rabbit: Rabbit) -> Rabbit:
    """A running broker. A test may stop it, kill it and restart it."""
    rabbit.start()
    return rabbit


@pytest.fixture
def exchange() -> str:
    """A control exchange of the test's own, on which nobody else is heard."""
    return f"trove-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def wire(broker: Rabbit, exchange: str) -> Iterator[Wire]:
    """The control plane's side of the wire."""
    with Wire(broker, exchange) as wire:
        yield wire


@pytest.fixture
def conductor(broker: Rabbit, exchange: str) -> Iterator[Conductor]:
    """Hears what the guests of this test report; encrypted, once it knows their keys."""
    with Conductor(broker, exchange) as conductor:
        yield conductor


@pytest.fixture
def guests_dir() -> Iterator[Path]:
    """A directory that servers under accounts of their own can reach, with a short path for sockets."""
    directory = Path(tempfile.mkdtemp(prefix="guests-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def make_agent(broker: Rabbit, exchange: str, guests_dir: Path) -> Iterator[MakeAgent]:
    """Makes agents of this test, not started; takes what :class:`AgentProcess` takes, and ends them.

    ``guest_id``, ``transport_url`` and ``directory`` need not be given.
    """
    agents: list[AgentProcess] = []

    def make(datastore: str, **how: Any) -> AgentProcess:
        how.setdefault("guest_id", str(uuid.uuid4()))
        how.setdefault("transport_url", broker.url)
        how.setdefault("directory", guests_dir / f"{len(agents)}")
        agents.append(AgentProcess(exchange=exchange, datastore=datastore, **how))
        return agents[-1]

    yield make
    try:
        for agent in agents:
            agent.close()
    finally:
        for agent in agents:
            # Shown by pytest beside a test that failed.
            print(f"--- log of {agent.guest_id}\n{agent.tail(200)}")
