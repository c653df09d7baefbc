"""The agent is killed while it mounts, unmounts and grows a volume on a real device."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guestagent.contract.operations import CodePath
from tests.crash.cases import go_undisturbed, see_some
from tests.crash.conftest import MakeGuest
from tests.crash.guest import Guest
from tests.crash.scenarios import DEVICE_MIB, on_a_volume
from tests.functional.system.conftest import LoopDevice

COUNT = {
    "ext4": (["dumpe2fs", "-h"], "Block count:"),
    "xfs": (["xfs_db", "-r", "-c", "sb 0", "-c", "print dblocks"], "dblocks ="),
}
"""What tells the size of a file system, mounted or not."""


@pytest.fixture(scope="module", params=CodePath, ids=lambda path: path.value)
def guest(request: pytest.FixtureRequest, make_guest: MakeGuest) -> Guest:
    """A prepared guest."""
    guest = make_guest(request.param)
    guest.prepare()
    guest.wait_for_rest()
    return guest


@pytest.fixture(params=COUNT)
def filesystem(request: pytest.FixtureRequest) -> str:
    """What the volume holds."""
    return str(request.param)


@pytest.fixture
def device(guest: Guest, filesystem: str, tmp_path: Path) -> Iterator[str]:
    """A device beside those of the guest, whose size belongs to the guest's state."""
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
        pytest.skip("needs root and loop devices")
    loop = LoopDevice(tmp_path / "disk", DEVICE_MIB[filesystem])

    def size() -> dict[str, Any]:
        argv, label = COUNT[filesystem]
        said = subprocess.run([*argv, loop.path], check=True, capture_output=True, text=True, timeout=60).stdout
        (line,) = (line for line in said.splitlines() if line.startswith(label))
        return {"volume.size": int(line.removeprefix(label))}

    guest.beside.append(size)
    yield loop.path
    guest.beside.remove(size)
    loop.detach()


@pytest.mark.parametrize("number", range(3), ids=["mount", "unmount", "grow"])
def test_a_volume_survives_the_agent(
    guest: Guest, device: str, filesystem: str, number: int, is_whole: bool, only: str
) -> None:
    scenario = on_a_volume(device, guest.home / "extra", filesystem)[number]
    see_some(guest, scenario, go_undisturbed(guest, scenario), is_whole, only)
