"""A real MariaDB server for every module of tests, prepared as the control plane would."""

import shutil
from collections.abc import Iterator

import pytest

if shutil.which("mariadbd") is None:
    pytest.skip("mariadbd is not installed", allow_module_level=True)

from guestagent_mariadb.manager import MariaDBManager

from tests.functional.mariadb.machine import Machine, machine, prepare


@pytest.fixture(scope="module")
def guest() -> Iterator[Machine]:
    """A machine with a prepared instance; tests of a module share it and use names of their own."""
    with machine() as made:
        prepare(made.manager())
        yield made


@pytest.fixture
def manager(guest: Machine) -> Iterator[MariaDBManager]:
    """The manager of an agent that has just started on that machine."""
    made = guest.manager()
    yield made
    made.connections.close()
