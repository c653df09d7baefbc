"""How much is tried, and the guests whose agents are killed."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator

import pytest

if shutil.which("mariadbd") is None:
    pytest.skip("mariadbd is not installed", allow_module_level=True)

from guestagent.conformance.conductor import Conductor
from guestagent.conformance.directories import reachable_directory
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire
from guestagent.contract.operations import CodePath
from tests.crash.guest import Guest

SAMPLE, WHOLE = "sample", "whole"
EXCHANGE = f"trove-crash-{os.getpid()}"

MakeGuest = Callable[..., Guest]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--crash", choices=[SAMPLE, WHOLE], default=SAMPLE, help="a spread of all moments of a crash, or every one"
    )
    parser.addoption("--crash-at", default="", help="only the moments whose names hold this text")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "whole: what a sample of the crash tests does without")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--crash") == SAMPLE and not config.getoption("--crash-at"):
        left_out = [item for item in items if item.get_closest_marker("whole")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def is_whole(request: pytest.FixtureRequest) -> bool:
    """Whether every moment is tried."""
    return bool(request.config.getoption("--crash") == WHOLE)


@pytest.fixture(scope="session")
def only(request: pytest.FixtureRequest) -> str:
    """What the names of the moments that are tried hold."""
    return str(request.config.getoption("--crash-at"))


@pytest.fixture(scope="module")
def crash_broker(rabbit: Rabbit) -> Rabbit:
    """A running broker for the guests of a module."""
    rabbit.start()
    return rabbit


@pytest.fixture(scope="module")
def make_guest(crash_broker: Rabbit) -> Iterator[MakeGuest]:
    """Makes guests of a module, not started; ends them and removes what is theirs."""
    with contextlib.ExitStack() as stack:
        wire = stack.enter_context(Wire(crash_broker, EXCHANGE))
        conductor = stack.enter_context(Conductor(crash_broker, EXCHANGE))

        def make(path: CodePath, **options: object) -> Guest:
            directory = stack.enter_context(reachable_directory())
            guest = Guest(directory, path, crash_broker, EXCHANGE, wire, conductor, **options)  # type: ignore[arg-type]
            stack.callback(guest.close)
            return guest

        yield make
