"""diskimage-builder's own check of elements, on those of the tree."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.environments import ROOT


def test_dib_lint_has_nothing_to_say(tmp_path: Path) -> None:
    programs = Path(sys.executable).parent
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "ELEMENTS_DIR": "elements", "LIB_DIR": str(tmp_path)}
    done = subprocess.run(
        [programs / "dib-lint"],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS" in done.stdout
