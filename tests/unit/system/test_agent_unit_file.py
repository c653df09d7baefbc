"""The agent's unit file, read by systemd's own checker."""

import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[3] / "etc" / "guestagent.service"
PROGRAM = "/opt/guestagent/bin/guestagent"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_finds_nothing_to_complain_about(tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    # The checker wants the program to exist, and it does in images only.
    copy.write_text(UNIT.read_text().replace(PROGRAM, "/usr/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(copy)], check=False, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_configuration_error_of_the_agent_ends_the_restarts() -> None:
    line = next(line for line in UNIT.read_text().splitlines() if line.startswith("RestartPreventExitStatus="))
    assert {int(code) for code in line.partition("=")[2].split()} == {2, *range(64, 79)}
