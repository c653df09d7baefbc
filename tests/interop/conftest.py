"""The control plane's own code, in an environment of its own."""

import contextlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from guestagent.conformance.directories import reachable_directory
from guestagent.conformance.rabbit import Rabbit
from tests.interop.control_plane import ControlPlane
from tests.interop.database import database
from tests.interop.guest import Guest
from tests.support.environments import environment

TROVE = "trove==26.0.0"
OLD = [("icehouse", True), ("icehouse", False), ("victoria", True), ("victoria", False)]
NEW = [("latest", True), ("latest", False)]
"""What ``[upgrade_levels] guestagent`` says, and whether messages are encrypted."""

NewGuest = Callable[..., Guest]


def _words(how: tuple[str, bool]) -> str:
    level, encrypted = how
    return f"{level}-{'encrypted' if encrypted else 'plain'}"


newest = pytest.mark.parametrize("guest", NEW, indirect=True, ids=_words)
"""For tests that have nothing to do with older forms of calls."""


@pytest.fixture(scope="session")
def trove_python() -> Path:
    """An interpreter that can import ``trove`` and nothing of this project; making it takes a minute once."""
    return environment("trove", [TROVE], Path(__file__).with_name("constraints.txt"))


@pytest.fixture(scope="session")
def control_plane(
    rabbit: Rabbit, trove_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    """Trove, on an exchange of its own."""
    rabbit.start()
    exchange = f"trove-{uuid.uuid4().hex[:8]}"
    with (
        database() as empty,
        ControlPlane(tmp_path_factory.mktemp("trove"), trove_python, empty, rabbit, exchange) as made,
    ):
        yield made


@pytest.fixture(scope="session", params=OLD + NEW, ids=_words)
def guest(request: pytest.FixtureRequest, control_plane: ControlPlane) -> Iterator[Guest]:
    """A prepared instance; tests share it and use names of their own."""
    level, encrypted = request.param
    with (
        reachable_directory() as directory,
        Guest(control_plane, directory / "guest", encrypted=encrypted, level=level) as made,
    ):
        made.prepare()
        yield made


@pytest.fixture
def new_guest(control_plane: ControlPlane) -> Iterator[NewGuest]:
    """Makes guests of this test, not booted yet; takes what :class:`Guest` takes, and ends them."""
    with contextlib.ExitStack() as made:

        def make(**how: Any) -> Guest:
            directory = made.enter_context(reachable_directory())
            return made.enter_context(Guest(control_plane, directory / "guest", **how))

        yield make
