"""The write-ahead log of the agent's journal, of which a power cut takes the end.

The format is that of SQLite's documentation, "WAL-mode File Format".
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

HEADER: Final = 32
FRAME_HEADER: Final = 24
"""Bytes of the log's, and of each frame's."""
COPIED_AT: Final = 96
"""Where the log's index has the number of the frames that are in the database as well."""


def lose_last_change(log: Path) -> None:
    """Take the last change from a log, unless the database has it: that gets nothing before the log is on the disk."""
    content = log.read_bytes() if log.exists() else b""
    ends = list(_ends_of_changes(content))
    if not ends:
        return
    index = log.with_name(log.name.removesuffix("-wal") + "-shm").read_bytes()
    (copied,) = struct.unpack_from("=I", index, COPIED_AT)
    left = max(min(copied, ends[-1]), ends[-2] if len(ends) > 1 else 0)
    with log.open("r+b") as stream:
        stream.truncate(HEADER + left * _frame_size(content))


def _ends_of_changes(content: bytes) -> Iterator[int]:
    """How many frames a log has after each change, without whatever of an older log follows them."""
    if len(content) < HEADER:
        return
    salts, size = content[16:24], _frame_size(content)
    for number, start in enumerate(range(HEADER, len(content) - size + 1, size), 1):
        if content[start + 8 : start + 16] != salts:
            return
        # The last frame of a change says how large the database is then.
        if any(content[start + 4 : start + 8]):
            yield number


def _frame_size(content: bytes) -> int:
    (page,) = struct.unpack(">I", content[8:12])
    return FRAME_HEADER + int(page)
