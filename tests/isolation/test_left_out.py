"""What images leave out of the agent's distributions, no agent misses: without it, MariaDB's passes the kit.

The other families' are tried on their images, by ``make test-images``.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from guestagent_image import selection, wheelhouse

from tests.support import mariadb
from tests.support.environments import CONSTRAINTS, ROOT

SECONDS = 840
ELSEWHERE = ("TestCrash", "TestServerDies", "TestFull", "TestRepetition")
"""Deaths in each operation need nothing of an agent that the operation and the power cuts do not need."""


@pytest.fixture
def image_python(tmp_path: Path) -> Path:
    """The interpreter of an agent that is installed as the image's element does it."""
    chosen = selection.Selection(mariadb.DATASTORE, backup=("mariabackup",), archive=("mariadb_binlog",))
    wheelhouse.make(chosen, tmp_path / "wheels", sources=[ROOT], constraints=CONSTRAINTS)
    return wheelhouse.install(tmp_path / "wheels", tmp_path / "agent")


@pytest.mark.timeout(SECONDS + 60)
def test_an_agent_without_it_passes_the_kit(image_python: Path) -> None:
    here = {path.name.partition("-")[0].lower() for path in image_python.parents[1].rglob("*.dist-info")}
    assert {name.replace("-", "_") for name in wheelhouse.LEFT_OUT} & here == set()

    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("-k", f"not ({' or '.join(ELSEWHERE)})", "tests/conformance/test_mariadb.py"),
        ],
        cwd=ROOT,
        env=os.environ | {"GUESTAGENT_PYTHON": str(image_python)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
