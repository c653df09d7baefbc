"""A real server for every module of tests, prepared as the control plane would."""

from collections.abc import Iterator

import pytest

from tests.support.redis import INSTALLED

if not INSTALLED:
    pytest.skip("neither redis-server nor valkey-server is installed", allow_module_level=True)

from guestagent_redis.manager import RedisManager

from tests.functional.redis.machine import Machine, machine, prepare


@pytest.fixture(scope="module")
def datastore() -> str:
    """What the image declares; the modules about what the two do differently ask for each."""
    return INSTALLED[0]


@pytest.fixture(scope="module")
def guest(datastore: str) -> Iterator[Machine]:
    """A machine with a prepared instance; tests of a module share it and use names of their own."""
    with machine(datastore=datastore) as made:
        prepare(made.manager())
        yield made


@pytest.fixture
def manager(guest: Machine) -> Iterator[RedisManager]:
    """The manager of an agent that has just started on that machine."""
    made = guest.manager()
    yield made
    made.client.close()
