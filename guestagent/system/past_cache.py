"""Large files past the page cache: its memory is the database's, and to fill it takes processor time."""

import contextlib
import errno
import fcntl
import mmap
import os
import types
from collections.abc import Iterator
from typing import Final, Self

BLOCK: Final = 1 << 19
"""Bytes that are written or read at a time; a multiple of what any disk has for a sector."""


class PastCache:
    """What is written to a file from its beginning; where its file system needs the cache, through it.

    A context manager: all of it is written when the block ends well.

    :param handle: of the open file; stays open.
    """

    def __init__(self, handle: int) -> None:
        self._handle = handle
        # The kernel takes it from memory that is aligned, as a mapping is.
        self._block = mmap.mmap(-1, BLOCK)
        self._used = 0
        self._past = True

    def __enter__(self) -> Self:
        self._go(past=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        with self._block:
            self._go(past=False)
            if kind is None:
                # The end need not be a multiple of anything.
                self._write_out()

    def write(self, chunk: bytes) -> int:
        """Write all of the chunk, in a while.

        :returns: its length.
        :raises OSError: the disk is full or refuses.
        """
        rest = memoryview(chunk)
        while rest:
            part = rest[: BLOCK - self._used]
            self._block[self._used : self._used + len(part)] = part
            self._used += len(part)
            rest = rest[len(part) :]
            if self._used == BLOCK:
                self._write_out()
        return len(chunk)

    def _write_out(self) -> None:
        written = 0
        with memoryview(self._block) as block:
            while written < self._used:
                with block[written : self._used] as rest:
                    written += self._write(rest)
        self._used = 0

    def _write(self, content: memoryview) -> int:
        try:
            written = os.write(self._handle, content)
        except OSError as error:
            if error.errno != errno.EINVAL or not self._past:
                raise
            written = 0
        if written < len(content):
            # It cannot be done in this way, or the next byte's place is not aligned.
            self._go(past=False)
        return written

    def _go(self, *, past: bool) -> None:
        _go(self._handle, past=past)
        self._past = past


def read(handle: int) -> Iterator[bytes]:
    """The content of an open file, as well as its file system can without the cache.

    :raises OSError: the disk refuses.
    """
    with mmap.mmap(-1, BLOCK) as block:
        _go(handle, past=True)
        offset = 0
        while True:
            try:
                size = os.preadv(handle, [block], offset)
            except OSError as error:
                if error.errno != errno.EINVAL or not _go(handle, past=False):
                    raise
                continue
            if not size:
                return
            yield block[:size]
            offset += size


def _go(handle: int, *, past: bool) -> bool:
    """Past the cache from now on, or not.

    :returns: whether that was otherwise before.
    """
    before = fcntl.fcntl(handle, fcntl.F_GETFL)
    wanted = before | os.O_DIRECT if past else before & ~os.O_DIRECT
    # Some file systems say at once that they cannot.
    with contextlib.suppress(OSError):
        fcntl.fcntl(handle, fcntl.F_SETFL, wanted)
    return before != wanted
