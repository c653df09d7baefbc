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


EXPOSURE = 63
"""What systemd's own look makes of the unit, of 100; the unit says why it is not less."""


def exposure_is_at_most(unit: Path, most: int) -> bool:
    argv = ["systemd-analyze", "security", "--offline=true", f"--threshold={most}", "--no-pager", str(unit)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
    assert "Overall exposure level" in done.stdout, done.stderr
    return done.returncode == 0


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_the_agent_has_no_more_rights_than_it_needs() -> None:
    assert exposure_is_at_most(UNIT, EXPOSURE)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
@pytest.mark.parametrize(
    "right", ["NoNewPrivileges", "SystemCallFilter", "CapabilityBoundingSet", "RestrictNamespaces"]
)
def test_that_look_sees_a_right_that_came_back(tmp_path: Path, right: str) -> None:
    copy = tmp_path / UNIT.name
    copy.write_text("".join(line for line in UNIT.open() if not line.startswith(right)))
    assert not exposure_is_at_most(copy, EXPOSURE)


@pytest.mark.parametrize(
    "line",
    [
        "After=cloud-init.service cloud-init-network.service network-online.target",
        "ConditionPathExists=/etc/trove/conf.d/guest_info.conf",
        "Type=notify",
        "Restart=on-failure",
        "WatchdogSec=300",
        "StateDirectoryMode=0700",
        "LimitCORE=0",
    ],
)
def test_the_unit_says_what_an_image_relies_on(line: str) -> None:
    assert line in UNIT.read_text().splitlines()


def test_every_configuration_error_of_the_agent_ends_the_restarts() -> None:
    line = next(line for line in UNIT.read_text().splitlines() if line.startswith("RestartPreventExitStatus="))
    assert {int(code) for code in line.partition("=")[2].split()} == {2, *range(64, 79)}
