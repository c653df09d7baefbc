"""The files of the write-ahead log: what they are called, and when what is in them was done."""

import datetime
import re
from pathlib import Path
from typing import Self

import msgspec

from guestagent.system import command

SIZE = 16 << 20
"""Bytes of a file, unless somebody has made the data otherwise."""
_PER_ID = (1 << 32) // SIZE
_NAME = re.compile(r"[0-9A-F]{24}")
_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")
_COMMIT = re.compile(r"(?:COMMIT|ABORT)\S* (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC")
READ_SECONDS = 300


class Segment(msgspec.Struct, frozen=True, order=True):
    """One file of the log.

    :ivar number: counts the files of a timeline from its beginning.
    """

    timeline: int
    number: int

    @classmethod
    def named(cls, name: str) -> Self | None:
        """The one with a file's name; none: it is no such file."""
        if not _NAME.fullmatch(name):
            return None
        timeline, high, low = (int(name[at : at + 8], 16) for at in (0, 8, 16))
        return cls(timeline, high * _PER_ID + low)

    @classmethod
    def at(cls, timeline: int, lsn: int) -> Self:
        """The one that a place of the log is in."""
        return cls(timeline, lsn // SIZE)

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.timeline:08X}{self.number // _PER_ID:08X}{self.number % _PER_ID:08X}"

    @property
    def next(self) -> "Segment":
        """The one after it."""
        return Segment(self.timeline, self.number + 1)

    @property
    def begins(self) -> int:
        """Its first place."""
        return self.number * SIZE


def parse(lsn: str) -> int | None:
    """A place of the log from its spelling; none: it is none."""
    found = _LSN.fullmatch(lsn)
    return int(found[1], 16) << 32 | int(found[2], 16) if found else None


def spelled(lsn: int) -> str:
    """The reverse of :func:`parse`."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def ends(program: str, path: Path, account: str | None) -> tuple[float, float] | None:
    """When the first and the last transaction of a file ended; none: none did.

    :param program: pg_waldump.
    :returns: seconds since the epoch.
    """
    argv = [program, "--rmgr=Transaction", f"--path={path.parent}", path.name]
    # A record that goes on in the next file is an error to it.
    done = command.run(argv, timeout=READ_SECONDS, user=account, environment={"TZ": "UTC"}, accept=(0, 1))
    times = [datetime.datetime.fromisoformat(f"{found}+00:00").timestamp() for found in _COMMIT.findall(done.stdout)]
    return (times[0], times[-1]) if times else None
