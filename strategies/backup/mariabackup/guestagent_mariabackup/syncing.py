"""What a restore writes gets to the disk while it is written, and not only at the end."""

import contextlib
from concurrent.futures import Future
from pathlib import Path
from typing import Self

from guestagent.backup.lanes import Lanes
from guestagent.system import volume

SYNC_BYTES = 1 << 28
"""So much is unpacked before it is written to the disk, which would have nothing to do until the end otherwise."""


class Syncing:
    """The file system of a directory that files are unpacked into; a context manager.

    The programs leave it to the kernel when their files reach the disk, and a kernel with much memory waits long.

    :raises SystemFailure: from any method; the disk does not take them.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._waiting = 0
        self._running: Future[None] | None = None
        self._opened = contextlib.ExitStack()
        self._lanes = self._opened.enter_context(Lanes(1, "sync"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.close()

    def count(self, size: int) -> None:
        """So many bytes more were unpacked."""
        self._waiting += size
        if self._waiting >= SYNC_BYTES and (self._running is None or self._running.done()):
            self._take()
            self._waiting = 0
            self._running = self._lanes.submit(volume.sync, self._directory)

    def finish(self) -> None:
        """Wait until all of it is on disk."""
        self._take()
        volume.sync(self._directory)

    def _take(self) -> None:
        if self._running is not None:
            self._lanes.wait([self._running])
            self._running.result()
