"""A tar archive of a few files, given and taken as a stream."""

import io
import os
import shutil
import stat
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from guestagent.contract.errors import SystemFailure
from guestagent_redis_rdb.errors import StreamInvalid

COPY_BYTES = 1 << 20


class Writing:
    """The archive of files, a piece at a time; the same files give the same bytes.

    :param paths: regular files of one directory that nobody changes.
    :raises SystemFailure: one is no such file.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._pieces = _pieces(paths)
        self._present: BinaryIO | None = next(self._pieces, None)

    def read(self, size: int) -> bytes:
        """The next bytes, at most so many; empty: the end."""
        while self._present is not None:
            if chunk := self._present.read(size):
                return chunk
            self._present.close()
            self._present = next(self._pieces, None)
        return b""

    def close(self) -> None:
        """Give the file back that is being read."""
        if self._present is not None:
            self._present.close()


def _pieces(paths: Sequence[Path]) -> Iterator[BinaryIO]:
    for path in paths:
        file = _opened(path)
        known = os.fstat(file.fileno())
        entry = tarfile.TarInfo(path.name)
        entry.size, entry.mtime, entry.mode = known.st_size, int(known.st_mtime), 0o600
        yield io.BytesIO(entry.tobuf(tarfile.GNU_FORMAT))
        yield file
        yield io.BytesIO(bytes(-known.st_size % tarfile.BLOCKSIZE))
    yield io.BytesIO(bytes(2 * tarfile.BLOCKSIZE))


def _opened(path: Path) -> BinaryIO:
    try:
        # The server's account could have put a link, or a pipe, where its file was.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise SystemFailure(subject=f"Reading {path}", problem=error.strerror) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise SystemFailure(subject=f"Reading {path}", problem="it is no regular file")
    return os.fdopen(handle, "rb", buffering=0)


def unpack(
    chunks: Iterator[bytes], names: Sequence[str], make: Callable[[str], AbstractContextManager[BinaryIO]]
) -> set[str]:
    """Take an archive apart.

    :param names: of the files that may be in it, each once.
    :param make: opens a new file of a name.
    :returns: the names of those that were.
    :raises StreamInvalid: it is no such archive, holds something else, or ends too early.
    """
    found: set[str] = set()
    try:
        with tarfile.open(fileobj=_Reading(chunks), mode="r|", bufsize=COPY_BYTES) as archive:
            for entry in archive:
                if entry.name not in names or entry.name in found or not entry.isreg():
                    raise StreamInvalid(problem=f"there is {entry.name[:64]!r} in it, which is none of its files")
                found.add(entry.name)
                content = archive.extractfile(entry)
                with make(entry.name) as file:
                    shutil.copyfileobj(content, file, COPY_BYTES)  # type: ignore[arg-type]  # it is a regular file
    except tarfile.TarError as error:
        raise StreamInvalid(problem=f"its stream is no archive, or ends too early ({error})") from None
    # What follows the archive's end is a part of what was verified.
    for _ in chunks:
        pass
    return found


class _Reading(io.RawIOBase):
    """Chunks as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = memoryview(chunk)
        given, self._rest = self._rest[:size], self._rest[size:]
        return bytes(given)
