"""A booted container of the tests' own."""

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.support.container import INSIDE, Container, copy_of_this_machine

# Elsewhere they run inside the container.
collect_ignore = [] if INSIDE in os.environ else ["test_systemd.py", "test_agent_unit.py"]


@pytest.fixture(scope="session")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """A container with a systemd."""
    if os.geteuid() != 0 or not shutil.which("systemd-nspawn"):
        pytest.skip("needs root and systemd-nspawn (Debian: systemd-container)")
    with copy_of_this_machine(tmp_path_factory.mktemp("container")) as container:
        yield container
