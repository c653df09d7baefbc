"""The control plane's own client, in an environment of its own."""

from pathlib import Path

import pytest

from tests.support.environments import environment

TROVE = "trove==26.0.0"


@pytest.fixture(scope="session")
def trove_python() -> Path:
    """An interpreter that can import ``trove`` and nothing of this project; making it takes a minute once."""
    return environment("trove", [TROVE], Path(__file__).with_name("constraints.txt"))
