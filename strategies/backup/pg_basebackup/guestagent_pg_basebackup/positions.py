"""Where a backup stands in the life of its server, as pg_basebackup says it."""

import re
from typing import Any, Self

import msgspec

from guestagent.contract.errors import DatastoreError

_START = re.compile(r"write-ahead log start point: ([0-9A-F]+/[0-9A-F]+) on timeline (\d+)")
_END = re.compile(r"write-ahead log end point: ([0-9A-F]+/[0-9A-F]+)")


class Positions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of a backup; it travels as JSON.

    :ivar start_lsn: recovery begins here.
    :ivar end_lsn: the data are those of this place, once they have been recovered.
    :ivar timeline: of both.
    :ivar server_version: of the server that it was made of.
    :ivar manifest: the SHA-256 of the server's manifest of it; none: nothing can build on it.
    :ivar parent_manifest: that of the backup that it builds on; none: it stands by itself.
    """

    start_lsn: str
    end_lsn: str
    timeline: int
    server_version: str
    manifest: str | None = None
    parent_manifest: str | None = None

    @classmethod
    def told(
        cls, said: str, server_version: str, manifest: str | None = None, parent_manifest: str | None = None
    ) -> Self:
        """Those that pg_basebackup has told while it made the backup.

        :raises DatastoreError: it has told none.
        """
        start, end = _START.search(said), _END.search(said)
        if start is None or end is None:
            problem = "pg_basebackup has not told where the write-ahead log of the backup begins and ends"
            raise DatastoreError(subject="The backup", problem=problem)
        return cls(
            start_lsn=start[1],
            end_lsn=end[1],
            timeline=int(start[2]),
            server_version=server_version,
            manifest=manifest,
            parent_manifest=parent_manifest,
        )

    @classmethod
    def recalled(cls, kept: dict[str, Any]) -> Self:
        """Those that were kept of a backup.

        :raises ValueError: they are of another strategy, or damaged.
        """
        return msgspec.convert(kept, cls)

    @property
    def major(self) -> str:
        """The server's major version."""
        return self.server_version.partition(".")[0]

    def kept(self) -> dict[str, Any]:
        """In types that JSON has."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found
