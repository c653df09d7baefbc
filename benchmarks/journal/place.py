"""Where a journal can lie, and the least that writing something down costs there."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from benchmarks.journal import kinds
from benchmarks.journal.kinds import MICROSECONDS

BLOCK = b"x" * 4096
ESCAPED_SPACE = "\\040"


class Place:
    """A directory with a guest's state and a file beside it that only grows; a context manager.

    :param directory: on the file system that is measured.
    :ivar file_system: its type.
    """

    def __init__(self, directory: Path) -> None:
        self.file_system = file_system(directory)
        with contextlib.ExitStack() as stack:
            self.guest = stack.enter_context(kinds.guest(directory))
            self._file = os.open(directory / "floor", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            stack.callback(os.close, self._file)
            self._closing = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.close()

    def append(self) -> float:
        """Write 4 KiB and have them on disk: the microseconds that it took."""
        begun = time.perf_counter()
        os.write(self._file, BLOCK)
        os.fsync(self._file)
        return (time.perf_counter() - begun) * MICROSECONDS


def file_system(path: Path) -> str:
    """The type of the file system that holds a path."""
    return max((mount for mount in _mounts() if path.resolve().is_relative_to(mount[0])), key=_depth)[1]


def _mounts() -> Iterator[tuple[Path, str]]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        yield Path(fields[4].replace(ESCAPED_SPACE, " ")), fields[fields.index("-") + 1]


def _depth(mount: tuple[Path, str]) -> int:
    return len(mount[0].parts)
