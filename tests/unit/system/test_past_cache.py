"""Large files past the page cache: what is in them, and what becomes of the cache."""

import contextlib
import errno
import fcntl
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestagent.system import past_cache
from guestagent.system.past_cache import BLOCK, PastCache

CONTENT = random.Random(3).randbytes(3 * BLOCK + 100)


@pytest.fixture
def handle(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT, 0o600)
    yield opened
    os.close(opened)


def content(handle: int) -> bytes:
    return os.pread(handle, 2 * len(CONTENT), 0)


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, len(CONTENT)])
@pytest.mark.parametrize("chunk", [1000, BLOCK, len(CONTENT)])
def test_everything_is_written_however_it_is_cut(handle: int, size: int, chunk: int) -> None:
    with PastCache(handle) as file:
        written = [file.write(CONTENT[:size][start : start + chunk]) for start in range(0, size, chunk)]

    assert sum(written) == size
    assert content(handle) == CONTENT[:size]


def test_the_file_is_used_as_any_other_afterwards(handle: int) -> None:
    with PastCache(handle) as file:
        file.write(CONTENT)

    assert not fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_DIRECT
    assert os.write(handle, b"odd") == 3


def test_whole_blocks_go_past_the_cache_where_it_can_be_done(handle: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, bool]] = []
    write = os.write

    def look(descriptor: int, chunk: memoryview) -> int:
        seen.append((len(chunk), bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT)))
        return write(descriptor, chunk)

    monkeypatch.setattr(os, "write", look)
    with PastCache(handle) as file:
        file.write(CONTENT)

    assert seen == [(BLOCK, True)] * 3 + [(100, False)]


def test_a_file_system_that_cannot_is_written_through_the_cache(handle: int, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write

    def refuse(descriptor: int, chunk: memoryview) -> int:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return write(descriptor, chunk)

    monkeypatch.setattr(os, "write", refuse)
    with PastCache(handle) as file:
        file.write(CONTENT)

    assert content(handle) == CONTENT


def test_what_the_disk_takes_in_parts_is_whole(handle: int, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, chunk: write(descriptor, chunk[: len(chunk) // 2 + 1]))
    with PastCache(handle) as file:
        file.write(CONTENT)

    assert content(handle) == CONTENT


def test_nothing_more_is_written_after_an_error(handle: int) -> None:
    with contextlib.suppress(KeyError), PastCache(handle) as file:
        file.write(CONTENT)
        raise KeyError

    assert content(handle) == CONTENT[: 3 * BLOCK]


def test_a_full_disk_is_an_error(handle: int) -> None:
    with (
        Path("/dev/full").open("wb") as full,
        pytest.raises(OSError, match="No space"),
        PastCache(full.fileno()) as file,
    ):
        file.write(CONTENT)


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, len(CONTENT)])
def test_everything_is_read(handle: int, size: int) -> None:
    os.write(handle, CONTENT[:size])

    chunks = list(past_cache.read(handle))

    assert b"".join(chunks) == CONTENT[:size]
    assert all(len(chunk) <= BLOCK for chunk in chunks)


def test_a_file_system_that_cannot_is_read_through_the_cache(handle: int, monkeypatch: pytest.MonkeyPatch) -> None:
    os.write(handle, CONTENT)
    read = os.preadv

    def refuse(descriptor: int, buffers: object, offset: int) -> int:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return read(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", refuse)

    assert b"".join(past_cache.read(handle)) == CONTENT
