"""What a dump says of itself, in comments at its two ends."""

import re
from typing import Any

KEPT_BYTES = 1 << 16
"""So much of each end is looked at."""
SIGN_BYTES = 200
"""So many bytes at the beginning tell a dump from something else."""

_BEGINS = re.compile(rb"(?:/\*M?!999999[^\n]*\n)?-- MariaDB dump ")
_ENDS = re.compile(rb"^-- Dump completed on [\d-]+ +\d+:\d\d:\d\d\n\Z", re.MULTILINE)
_DATA = re.compile(rb"^-- Current Database: ", re.MULTILINE)
_VERSION = re.compile(rb"^-- Server version\t([^\n]+)$", re.MULTILINE)
_BINLOG = re.compile(rb"^-- CHANGE MASTER TO MASTER_LOG_FILE='([^'\n]+)', MASTER_LOG_POS=(\d+);$", re.MULTILINE)
_GTID = re.compile(rb"^-- SET GLOBAL gtid_slave_pos='([^'\n]*)';$", re.MULTILINE)


class Landmarks:
    """Both ends of a dump that passes by."""

    def __init__(self) -> None:
        self._head = b""
        self._tail = b""

    def pass_by(self, chunk: bytes) -> None:
        """See the next bytes of the dump."""
        self._head += chunk[: KEPT_BYTES - len(self._head)]
        self._tail = (self._tail + chunk[-KEPT_BYTES:])[-KEPT_BYTES:]

    @property
    def seen(self) -> int:
        """The bytes of the head that are known."""
        return len(self._head)

    def is_dump(self) -> bool:
        """Whether it begins as a dump does."""
        return bool(_BEGINS.match(self._head))

    def is_whole(self) -> bool:
        """Whether it ends as a dump does."""
        return bool(_ENDS.search(self._tail))

    def positions(self) -> dict[str, Any]:
        """Where the data stand, as the README says."""
        # What follows is the users', and may look like anything.
        data = _DATA.search(self._head)
        head = self._head[: data.start() if data else None]
        found: dict[str, Any] = {}
        if version := _VERSION.search(head):
            found["server_version"] = version[1].decode(errors="replace")
        if place := _BINLOG.search(head):
            found["binlog"] = {"file": place[1].decode(errors="replace"), "position": int(place[2])}
            # Newer programs write it last, older ones first.
            gtid = [*_GTID.findall(head), *_GTID.findall(self._tail)]
            if gtid and gtid[-1]:
                found["gtid"] = gtid[-1].decode(errors="replace")
        return found
