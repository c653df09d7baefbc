"""Runs the tests that need a real systemd, in a container that boots one from this very machine's file system."""

import sys

import pytest

from tests.support.container import Container


@pytest.mark.parametrize("name", ["test_systemd.py", "test_agent_unit.py"])
def test_inside(container: Container, name: str) -> None:
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = container.run([*pytest, f"tests/functional/system/{name}"], timeout=300)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout
