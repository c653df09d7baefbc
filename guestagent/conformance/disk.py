"""A file as a block device: what a volume is to a guest."""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

from guestagent.conformance.poll import eventually
from guestagent.system import command, volume

MIB = 1 << 20
SECONDS = 60

DISK_MIB = 360
SMALLER: Final[Mapping[str, Sequence[str]]] = {
    "ext4": ("mkfs.ext4", "-q", "-F", "DEVICE", "64M"),
    "xfs": ("mkfs.xfs", "-q", "-f", "-d", "size=310m", "DEVICE"),
}
"""How a file system is made that is smaller than a disk of :data:`DISK_MIB`."""
COUNT: Final[Mapping[str, tuple[Sequence[str], str]]] = {
    "ext4": (("dumpe2fs", "-h"), "Block count:"),
    "xfs": (("xfs_db", "-r", "-c", "sb 0", "-c", "print dblocks"), "dblocks ="),
}
"""What tells the size of a file system, mounted or not."""


def can_be_made() -> bool:
    """Whether this process may make disks."""
    return os.geteuid() == 0 and Path("/dev/loop-control").exists()


class Disk:
    """One loop device.

    :param file: what it is made of.
    :param size: MiB.
    :ivar path: of the device's node.
    """

    def __init__(self, file: Path, size: int) -> None:
        self._file = file
        self.size = size
        self._extend()
        self.path = _run("losetup", "--find", "--show", str(file)).strip()

    def _extend(self) -> None:
        with self._file.open("ab") as stream:
            stream.truncate(self.size * MIB)

    def resize(self, size: int) -> None:
        """Give it another size, in MiB, as a cloud extends a volume; what it holds does not know of that."""
        self.size = size
        self._extend()
        _run("losetup", "--set-capacity", self.path)

    def make_smaller(self, filesystem: str) -> None:
        """Make a file system that is smaller than the disk; it must not be mounted.

        :param filesystem: one of :data:`SMALLER`.
        """
        _run(*(self.path if part == "DEVICE" else part for part in SMALLER[filesystem]))

    def blocks(self, filesystem: str) -> int:
        """The size of its file system."""
        argv, label = COUNT[filesystem]
        [line] = (line for line in _run(*argv, self.path).splitlines() if line.startswith(label))
        return int(line.removeprefix(label))

    @property
    def mount_points(self) -> list[Path]:
        """Where it is mounted."""
        number = Path(self.path).stat().st_rdev
        return [mount.point for mount in volume.mounts() if mount.device == number]

    def unmount(self) -> None:
        """Unmount it from wherever it is mounted, and wait until nobody uses it."""
        for point in self.mount_points:
            _run("umount", "--", str(point))
        self.wait_until_free()

    def wait_until_free(self) -> None:
        """Wait until nobody has it in use any more, who may be another one than who unmounted it."""
        # The kernel may still be about it, and a container that begins holds a copy of all mounts for a moment.
        eventually(self._is_free, message=lambda: f"{self.path} is in use")

    def _is_free(self) -> bool:
        try:
            os.close(os.open(self.path, os.O_RDONLY | os.O_EXCL))
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            return False
        return True

    def detach(self) -> None:
        """Take it away from the machine."""
        self.unmount()
        _run("losetup", "--detach", self.path)


MakeDisk = Callable[..., Disk]
"""Makes disks of so many MiB; 64 when that is left open."""


@pytest.fixture(scope="module")
def make_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeDisk]:
    """Makes disks of so many MiB, which are taken away with the module, after its guests."""
    with contextlib.ExitStack() as disks:

        def make(size: int = 64) -> Disk:
            if not can_be_made():
                pytest.skip("disks need root and /dev/loop-control")
            made = Disk(tmp_path_factory.mktemp("disk") / "disk", size)
            disks.callback(made.detach)
            return made

        yield make


def _run(*argv: str) -> str:
    return command.run(argv, timeout=SECONDS).stdout
