"""A wheelhouse of this tree: complete for an agent, refused where it would be none."""

import subprocess
import sys
from pathlib import Path

from tests.support.environments import CONSTRAINTS, ROOT


def wheelhouse(directory: Path, *selection: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "guestagent_image", "wheelhouse", *selection]
    argv += ["--source", str(ROOT), "--constraint", str(CONSTRAINTS), "--output", str(directory)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=280, check=False)


def test_a_strategy_for_another_datastore_is_refused_with_the_agents_sentence(tmp_path: Path) -> None:
    done = wheelhouse(tmp_path / "wheels", "--datastore=sleeper", "--backup=mariabackup")

    assert done.returncode == 1, done.stderr
    assert "is for mariadb and not for 'sleeper'" in done.stderr
    # All that it needs is there, with hashes, but what no agent imports, and what would install more.
    requirements = (tmp_path / "wheels/requirements.txt").read_text().splitlines()
    names = {line.partition("==")[0] for line in requirements}
    assert all(" --hash=sha256:" in line for line in requirements)
    assert {"guestagent", "guestagent-sleeper", "guestagent-mariabackup", "zstandard", "oslo-messaging"} <= names
    assert {"eventlet", "pip", "requests", "setuptools"} & names == set()


def test_a_directory_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "other.whl").touch()

    done = wheelhouse(tmp_path, "--datastore=sleeper")

    assert done.returncode == 1
    assert "is not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["other.whl"]
