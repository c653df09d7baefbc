"""diskimage-builder's own lint has nothing to say of any element."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.environments import NOT_SOURCE, ROOT

PROGRAMS = Path(sys.executable).parent


@pytest.fixture
def elements(tmp_path: Path) -> Path:
    """A copy of those of the tree."""
    directory = tmp_path / "elements"
    for found in (ROOT / "elements").glob("*/element-deps"):
        shutil.copytree(found.parent, directory / found.parent.name, ignore=NOT_SOURCE)
    return directory


def lint(elements: Path) -> "subprocess.CompletedProcess[str]":
    library = elements.with_name("library")
    # It would look into a library of Python too, which is for the style check here.
    library.mkdir()
    places = {"ELEMENTS_DIR": str(elements), "LIB_DIR": str(library)}
    environment = {**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", **places}

    return subprocess.run(
        [PROGRAMS / "dib-lint"],
        cwd=elements.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_lint_of_elements_passes(elements: Path) -> None:
    done = lint(elements)
    assert done.returncode == 0, done.stdout


def test_the_lint_sees_a_hook_that_goes_on_after_an_error(elements: Path) -> None:
    hook = elements / "guestagent/install.d/50-guestagent"
    hook.write_text(hook.read_text().replace("set -eu\n", ""))

    done = lint(elements)

    assert done.returncode != 0
    assert "50-guestagent" in done.stdout
