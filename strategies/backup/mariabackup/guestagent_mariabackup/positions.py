"""Where a backup stands in the life of its server, read from the notes that mariadb-backup leaves beside it."""

import calendar
import re
import time
from pathlib import Path
from typing import Any, Self

import msgspec

from guestagent.contract.errors import DatastoreError

PREFIXES = ("xtrabackup_", "mariadb_backup_")
"""How the names of the notes begin: until MariaDB 11.0, and later."""
CHECKPOINTS, INFO = "checkpoints", "info"
UTC = {"TZ": "UTC"}
"""The environment in which mariadb-backup writes times that :attr:`Notes.ended` can read."""

_BINLOG = re.compile(
    r"filename '(?P<file>[^']+)', position '(?P<position>\d+)'(?:, GTID of the last change '(?P<gtid>[^']*)')?"
)
_TIME = "%Y-%m-%d %H:%M:%S"


class Binlog(msgspec.Struct, frozen=True):
    """A place in the server's binary log.

    :ivar file: its name, without a directory.
    :ivar position: the byte at which the next event begins.
    """

    file: str
    position: int


class Positions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of a backup; it travels as JSON.

    :ivar lsn: an incremental backup that builds on this one begins here.
    :ivar from_lsn: where this one begins; 0: it stands by itself.
    :ivar last_lsn: the data are those of this place, once the backup is prepared.
    :ivar server_version: of the server that it was made of.
    :ivar binlog: where a replica goes on; none: the server wrote no binary log.
    :ivar gtid: the same as a global transaction id, of each domain with commas between them.
    """

    lsn: int
    from_lsn: int
    last_lsn: int
    server_version: str
    binlog: Binlog | None = None
    gtid: str | None = None

    @classmethod
    def recalled(cls, kept: dict[str, Any]) -> Self:
        """Those that were kept of a backup.

        :raises ValueError: they are of another strategy, or damaged.
        """
        return msgspec.convert(kept, cls)

    def kept(self) -> dict[str, Any]:
        """In types that JSON has."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


class Notes:
    """The notes in one directory.

    :raises DatastoreError: they are missing or say something else than they should.
    """

    def __init__(self, directory: Path) -> None:
        self.checkpoints = _read(directory, CHECKPOINTS)
        self._info = _read(directory, INFO)

    def positions(self) -> Positions:
        """Where the backup stands."""
        place = _BINLOG.search(self._info.get("binlog_pos", ""))
        return Positions(
            lsn=self._number("to_lsn"),
            from_lsn=self._number("from_lsn"),
            last_lsn=self._number("last_lsn"),
            server_version=self._info.get("server_version", ""),
            binlog=Binlog(place["file"], int(place["position"])) if place else None,
            gtid=(place["gtid"] or None) if place else None,
        )

    def ended(self) -> float:
        """When it ended, in seconds since the epoch."""
        try:
            return float(calendar.timegm(time.strptime(self._info.get("end_time", ""), _TIME)))
        except ValueError:
            raise _unreadable(INFO) from None

    def _number(self, name: str) -> int:
        try:
            return int(self.checkpoints[name])
        except (KeyError, ValueError):
            raise _unreadable(CHECKPOINTS) from None


def find(directory: Path, name: str) -> Path | None:
    """The file with a note, if it is there."""
    paths = (directory / f"{prefix}{name}" for prefix in PREFIXES)
    return next((path for path in paths if path.is_file()), None)


def left_overs(directory: Path) -> list[Path]:
    """What a server has no use for in a directory that was prepared for it."""
    notes = [path for prefix in PREFIXES for path in directory.glob(f"{prefix}*")]
    return [path for path in (*notes, directory / "backup-my.cnf") if path.is_file()]


def _read(directory: Path, name: str) -> dict[str, str]:
    path = find(directory, name)
    if path is None:
        raise _unreadable(name)
    pairs = (line.partition(" = ") for line in path.read_text(errors="replace").splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _unreadable(name: str) -> DatastoreError:
    problem = f"mariadb-backup left no file '{PREFIXES[0]}{name}' that could be understood"
    return DatastoreError(subject="Reading where the backup stands", problem=problem)
