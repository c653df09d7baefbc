"""A real PostgreSQL server for every module of tests, prepared as the control plane would."""

from collections.abc import Iterator

import pytest
from guestagent_postgresql.manager import PostgreSQLManager

from tests.functional.postgresql.machine import Machine, machine, prepare


@pytest.fixture(scope="module")
def guest() -> Iterator[Machine]:
    """A machine with a prepared instance; tests of a module share it and use names of their own."""
    with machine() as made:
        prepare(made.manager())
        yield made


@pytest.fixture
def manager(guest: Machine) -> Iterator[PostgreSQLManager]:
    """The manager of an agent that has just started on that machine."""
    made = guest.manager()
    yield made
    made.connections.close()
