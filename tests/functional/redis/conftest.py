"""A real server for every module of tests, prepared as the control plane would."""

import shutil
from collections.abc import Iterator

import pytest

if shutil.which("redis-server") is None:
    pytest.skip("redis-server is not installed", allow_module_level=True)

from guestagent_redis.manager import RedisManager

from tests.functional.redis.machine import Machine, machine, prepare


@pytest.fixture(scope="module")
def guest() -> Iterator[Machine]:
    """A machine with a prepared instance; tests of a module share it and use names of their own."""
    with machine() as made:
        prepare(made.manager())
        yield made


@pytest.fixture
def manager(guest: Machine) -> Iterator[RedisManager]:
    """The manager of an agent that has just started on that machine."""
    made = guest.manager()
    yield made
    made.client.close()
