"""Devices of a guest's own, and the sizes of their file systems."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.guest import Guest
from tests.crash.scenarios import DEVICE_MIB
from tests.functional.system.conftest import LoopDevice

COUNT = {
    "ext4": (["dumpe2fs", "-h"], "Block count:"),
    "xfs": (["xfs_db", "-r", "-c", "sb 0", "-c", "print dblocks"], "dblocks ="),
}
"""What tells the size of a file system, mounted or not."""


@contextlib.contextmanager
def device(directory: Path, size: int) -> Iterator[LoopDevice]:
    """A small disk, of so many MiB."""
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
        pytest.skip("needs root and loop devices")
    made = LoopDevice(directory / "disk", size)
    try:
        yield made
    finally:
        made.detach()


@contextlib.contextmanager
def beside(guest: Guest, directory: Path, filesystem: str) -> Iterator[str]:
    """A device beside those of the guest, whose size belongs to the guest's state."""
    with device(directory, DEVICE_MIB[filesystem]) as made:

        def size() -> dict[str, Any]:
            argv, label = COUNT[filesystem]
            said = subprocess.run([*argv, made.path], check=True, capture_output=True, text=True, timeout=60).stdout
            (line,) = (line for line in said.splitlines() if line.startswith(label))
            return {"volume.size": int(line.removeprefix(label))}

        guest.beside.append(size)
        try:
            yield made.path
        finally:
            guest.beside.remove(size)
