"""Volumes: block devices with one file system, mounted by the agent and not by fstab."""

import contextlib
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from oslo_log import log

from guestagent.contract.errors import InvalidValue, NotFound, SystemFailure
from guestagent.system import command, waiting

LOG = log.getLogger(__name__)

MAKE: Final[Mapping[str, Sequence[str]]] = {"ext4": ("mkfs.ext4", "-q", "-m", "1"), "xfs": ("mkfs.xfs", "-q")}
"""How an empty device gets its file system; 1 % instead of ext4's 5 % of the space is kept for root."""
EXT = ("ext2", "ext3", "ext4")
XFS = "xfs"

MOUNT_OPTIONS = "noatime,nodev,nosuid"
WAIT_SECONDS = 30.0
POLL_SECONDS = 0.1
PROBE_TIMEOUT = 60
MOUNT_TIMEOUT = 300
"""A journal that a crash left may have to be replayed."""
FORMAT_TIMEOUT = 900
GROW_TIMEOUT = 3600
SYNC_TIMEOUT = 3600


class Space(msgspec.Struct, frozen=True):
    """The space of a file system, in blocks.

    :ivar block_size: bytes.
    :ivar available_blocks: those of the free ones that are not kept for root.
    """

    block_size: int
    total_blocks: int
    free_blocks: int
    available_blocks: int


def space(path: Path) -> Space:
    """The space of the file system that holds the path.

    :raises FileNotFoundError: the path does not exist.
    """
    found = os.statvfs(path)
    return Space(found.f_frsize, found.f_blocks, found.f_bfree, found.f_bavail)


def at_most_a_quarter(size: int, path: Path) -> int:
    """So many bytes, or a quarter of the file system that holds the path, where that is less.

    :raises FileNotFoundError: the path does not exist.
    """
    found = space(path)
    return min(size, found.block_size * found.total_blocks // 4)


def sync(path: Path) -> None:
    """Have all that the file system holds, in which the path is, on the disk.

    :raises SystemFailure: the disk does not take it.
    """
    command.run(["sync", "--file-system", str(path)], timeout=SYNC_TIMEOUT)


class Mount(msgspec.Struct, frozen=True):
    """One line of the kernel's table of mounts.

    :ivar device: the device's number, as in ``st_rdev`` of its node.
    :ivar source: the device's name when it was mounted.
    """

    device: int
    point: Path
    source: str


def mounts() -> list[Mount]:
    """What is mounted, in the order of mounting; see proc(5), /proc/pid/mountinfo."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        fields, _, details = line.partition(" - ")
        _, _, number, _, point, *_ = fields.split(" ")
        major, minor = map(int, number.split(":"))
        source = details.split(" ")[1]
        found.append(Mount(os.makedev(major, minor), Path(_unescape(point)), _unescape(source)))
    return found


def is_mounted(point: Path) -> bool:
    """Whether something is mounted at exactly this directory."""
    return _resolve(point) in [entry.point for entry in mounts()]


class BlockDevice:
    """A block device that holds one file system. All methods may be repeated.

    :param path: of its node, absolute.
    :param wait: seconds that a node that is not there yet is waited for: a volume is often attached
        to the machine a little after the call that is about it.
    :raises InvalidValue: the path is not absolute.
    """

    def __init__(self, path: str, wait: float = WAIT_SECONDS) -> None:
        if not path.startswith("/") or "\0" in path:
            raise InvalidValue(
                subject=f"The device {path!r}", problem="its path must be absolute, for example /dev/vdb"
            )
        self.path = path
        self._wait = wait

    def format_if_empty(self, filesystem: str = "ext4") -> None:
        """Make a file system if the device holds nothing that is known to any tool.

        A device with the signature of a file system, a partition table, a volume manager, encryption
        or swap is left as it is.

        :param filesystem: one of :data:`MAKE`.
        :raises NotFound: the device does not appear.
        :raises InvalidValue: it is no block device.
        :raises SystemFailure: it cannot be read or formatted.
        """
        self._number()
        signatures = command.run(
            ["wipefs", "--noheadings", "--output", "TYPE", "--", self.path], timeout=PROBE_TIMEOUT
        ).stdout.split()
        if signatures:
            LOG.info("%s holds %s and is not formatted", self.path, ", ".join(signatures))
            return
        LOG.info("%s is empty; making a file system: %s", self.path, filesystem)
        command.run([*MAKE[filesystem], "--", self.path], timeout=FORMAT_TIMEOUT)

    def mount(self, mount_point: Path, options: str = MOUNT_OPTIONS) -> None:
        """Mount the device; the directory is made, with mode 0755, when it is missing.

        :param options: as of mount(8).
        :raises NotFound: the device does not appear.
        :raises InvalidValue: something else is mounted there, or the device somewhere else.
        :raises SystemFailure: the kernel refuses, for example because there is no file system.
        """
        number = self._number()
        point = _resolve(mount_point)
        table = mounts()
        there = [entry for entry in table if entry.point == point]
        if there and there[-1].device == number:
            return
        if there:
            raise InvalidValue(
                subject=f"The mount point {point}",
                problem=f"{there[-1].source} is mounted there; unmount it or choose another directory",
            )
        elsewhere = [entry.point for entry in table if entry.device == number]
        if elsewhere:
            raise InvalidValue(
                subject=self._subject, problem=f"it is mounted at {elsewhere[0]}; unmount it there first"
            )
        _make_directory(point)
        command.run(["mount", "-o", options, "--", self.path, str(point)], timeout=MOUNT_TIMEOUT)
        LOG.info("Mounted %s at %s", self.path, point)

    def unmount(self, mount_point: Path) -> None:
        """Unmount the device from the directory; not mounted there: nothing to do.

        A device that was already detached from the machine can still be unmounted.

        :raises SystemFailure: something still uses it.
        """
        point = _resolve(mount_point)
        there = [entry for entry in mounts() if entry.point == point]
        if there and self._is(there[-1]):
            command.run(["umount", "--", str(point)], timeout=MOUNT_TIMEOUT)
            LOG.info("Unmounted %s from %s", self.path, point)

    def grow(self, scratch: Path, online: bool) -> None:
        """Grow the file system to the size of the device.

        A file system that is mounted grows where it is, also when that was not asked for. One that is
        not is checked first; XFS grows only while it is mounted, so it is mounted for that moment.

        :param scratch: where it is mounted for that moment; what a crash has left there is no use of it.
        :param online: it must be mounted and stay so.
        :raises NotFound: the device does not appear.
        :raises InvalidValue: it is not mounted and should be, or its file system cannot grow.
        :raises SystemFailure: it is damaged, or the tool failed; the data is as before.
        """
        number = self._number()
        filesystem = self._filesystem()
        points = [entry.point for entry in mounts() if entry.device == number and entry.point != _resolve(scratch)]
        if online and not points:
            raise InvalidValue(subject=self._subject, problem="it is not mounted, so it cannot grow while it is in use")
        if filesystem in EXT:
            if not points:
                self._check()
            command.run(["resize2fs", self.path], timeout=GROW_TIMEOUT)
        elif filesystem == XFS:
            with self._mounted_at(points, scratch) as point:
                command.run(["xfs_growfs", str(point)], timeout=GROW_TIMEOUT)
        else:
            problem = f"it holds {filesystem or 'no file system'}, and only {', '.join((*EXT, XFS))} can grow"
            raise InvalidValue(subject=self._subject, problem=problem)
        LOG.info("The file system of %s has the size of its device", self.path)

    @property
    def _subject(self) -> str:
        return f"The device {self.path}"

    def _number(self) -> int:
        """The device's number, once its node is there."""
        deadline = time.monotonic() + self._wait
        while (found := self._look()) is None:
            if time.monotonic() >= deadline:
                raise NotFound(subject=self._subject)
            waiting.pause(POLL_SECONDS)
        return found

    def _look(self) -> int | None:
        try:
            found = Path(self.path).stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InvalidValue(subject=self._subject, problem=error.strerror) from None
        if not stat.S_ISBLK(found.st_mode):
            raise InvalidValue(subject=self._subject, problem="it is no block device")
        return found.st_rdev

    def _is(self, entry: Mount) -> bool:
        number = self._look()
        return entry.source == self.path if number is None else entry.device == number

    def _filesystem(self) -> str:
        """The type of the file system; empty: there is none."""
        argv = ["blkid", "--probe", "--match-tag", "TYPE", "--output", "value", self.path]
        return command.run(argv, timeout=PROBE_TIMEOUT, accept=(0, 2)).stdout.strip()

    def _check(self) -> None:
        """What resize2fs wants before it touches a file system that is not mounted."""
        done = command.run(["e2fsck", "-f", "-p", self.path], timeout=GROW_TIMEOUT, accept=range(128))
        if done.code > 1:
            # e2fsck(8): 1 is "errors corrected"; and it complains on its standard output.
            raise SystemFailure(subject="e2fsck", problem=" ".join((done.stdout + done.stderr).split()))

    @contextlib.contextmanager
    def _mounted_at(self, points: Sequence[Path], scratch: Path) -> Iterator[Path]:
        """Where the device is mounted: already, or for the time of the block."""
        if points:
            yield points[0]
            return
        self.mount(scratch)
        try:
            yield scratch
        finally:
            with waiting.shielded():
                self.unmount(scratch)


def _resolve(mount_point: Path) -> Path:
    if not mount_point.is_absolute():
        raise InvalidValue(subject=f"The mount point {mount_point}", problem="its path must be absolute")
    return mount_point.resolve()


def _make_directory(point: Path) -> None:
    try:
        if not point.exists():
            point.mkdir(parents=True)
            point.chmod(0o755)
        elif not point.is_dir():
            raise InvalidValue(subject=f"The mount point {point}", problem="it is no directory")
    except OSError as error:
        raise InvalidValue(subject=f"The mount point {point}", problem=error.strerror) from None


def _unescape(field: str) -> str:
    r"""Blanks and backslashes of the table's fields are written ``\ooo``, octal."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
