"""The bad cable: that unplugging it meets connections in whatever state they are."""

import socket
import sys
from collections.abc import Iterator

import pytest

from guestagent.conformance.ports import LOOPBACK
from tests.support.cable import Cable


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads that take turns as often as they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.fixture
def upstream() -> Iterator[int]:
    with socket.create_server((LOOPBACK, 0), backlog=1000) as server:
        yield server.getsockname()[1]


@pytest.mark.usefixtures("eager_threads")
def test_it_may_be_unplugged_while_a_connection_is_made(upstream: int) -> None:
    with Cable(upstream) as cable:
        for _ in range(500):
            with socket.create_connection((LOOPBACK, cable.port)):
                cable.unplug()
