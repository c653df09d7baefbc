"""Where a backup stands in the life of its server, as its manifest has it."""

from typing import Any, Self

import msgspec


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
