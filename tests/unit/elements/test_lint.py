"""diskimage-builder's own lint has nothing to say of any element."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.environments import NOT_SOURCE, ROOT

PROGRAMS = Path(sys.executable).parent


def test_the_lint_of_elements_passes(tmp_path: Path) -> None:
    elements, library = tmp_path / "elements", tmp_path / "library"
    for found in (ROOT / "elements").glob("*/element-deps"):
        shutil.copytree(found.parent, elements / found.parent.name, ignore=NOT_SOURCE)
    # It would look into a library of Python too, which is for the style check here.
    library.mkdir()
    places = {"ELEMENTS_DIR": str(elements), "LIB_DIR": str(library)}
    environment = {**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", **places}

    argv = [PROGRAMS / "dib-lint"]
    done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stdout
