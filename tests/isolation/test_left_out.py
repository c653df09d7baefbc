"""What images leave out of the agent's distributions, no agent misses: without it, each family passes the whole kit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from guestagent_image import selection, wheelhouse

from tests.isolation.conftest import FAMILIES, Family
from tests.support.environments import CONSTRAINTS, ROOT

SECONDS = 280


@pytest.fixture(params=FAMILIES, ids=lambda family: family.datastore)
def image(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Family, Path]:
    """A family, and the interpreter of an agent that is installed as the image's element does it."""
    family: Family = request.param
    backup = tuple(Path(folder).name for folder in family.strategies)
    chosen = selection.Selection(family.datastore, backup=backup)
    wheelhouse.make(chosen, tmp_path / "wheels", sources=[ROOT], constraints=CONSTRAINTS)
    return family, wheelhouse.install(tmp_path / "wheels", tmp_path / "agent")


def test_an_agent_without_it_passes_the_kit(image: tuple[Family, Path]) -> None:
    family, python = image
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"tests/conformance/test_{family.datastore}.py",
        ],
        cwd=ROOT,
        env=os.environ | {"GUESTAGENT_PYTHON": str(python)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    left = {path.name.partition("-")[0].lower() for path in python.parents[1].rglob("*.dist-info")}
    assert {name.replace("-", "_") for name in wheelhouse.LEFT_OUT} & left == set()
