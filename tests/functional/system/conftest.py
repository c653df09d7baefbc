"""Block devices and a booted container of the tests' own."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.container import INSIDE, Container, copy_of_this_machine

MIB = 1 << 20

# Elsewhere they run inside the container.
collect_ignore = [] if INSIDE in os.environ else ["test_systemd.py", "test_agent_unit.py"]


class LoopDevice:
    """A file as a block device.

    :param size: MiB.
    """

    def __init__(self, file: Path, size: int) -> None:
        self._file = file
        self.resize(size)
        self.path = tool("losetup", "--find", "--show", str(file)).strip()

    def resize(self, size: int) -> None:
        """Give the file another size; the device takes it over when it is there already."""
        with self._file.open("ab") as stream:
            stream.truncate(size * MIB)
        if hasattr(self, "path"):
            tool("losetup", "--set-capacity", self.path)

    def detach(self) -> None:
        """Take the device away, from wherever it is still mounted."""
        for line in Path("/proc/mounts").read_text().splitlines():
            source, point = line.split()[:2]
            if source == self.path:
                tool("umount", "--", point.encode().decode("unicode_escape"))
        tool("losetup", "--detach", self.path)


def tool(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.fixture
def loop_device(tmp_path: Path) -> Iterator[Callable[..., LoopDevice]]:
    """Makes block devices; all are detached afterwards."""
    if os.geteuid() != 0 or not shutil.which("losetup") or not Path("/dev/loop-control").exists():
        pytest.skip("needs root and loop devices")
    made: list[LoopDevice] = []

    def make(size: int = 64) -> LoopDevice:
        made.append(LoopDevice(tmp_path / f"disk-{len(made)}", size))
        return made[-1]

    yield make
    for device in reversed(made):
        device.detach()


@pytest.fixture(scope="session")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """A container with a systemd."""
    if os.geteuid() != 0 or not shutil.which("systemd-nspawn"):
        pytest.skip("needs root and systemd-nspawn (Debian: systemd-container)")
    with copy_of_this_machine(tmp_path_factory.mktemp("container")) as container:
        yield container
