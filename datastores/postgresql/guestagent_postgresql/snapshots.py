"""A snapshot of the volume that a server can start on."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from guestagent.capabilities.snapshots import Snapshots
from guestagent_postgresql.server import PostgreSQLServer


class PostgreSQLSnapshots(PostgreSQLServer, Snapshots):
    """Supports the calls around a snapshot.

    Nothing is held: a server that starts on a copy of one moment, with its write-ahead log, recovers from it as from a
    crash. Data and log are on one volume, and the snapshot of a volume is of one moment. The checkpoint before it
    makes that recovery short.
    """

    @contextlib.contextmanager
    def held_still(self) -> Iterator[dict[str, Any]]:
        with self.connections.session("Making a checkpoint") as ask:
            ask("CHECKPOINT")
            [(lsn, timeline)] = ask(
                "SELECT CAST(pg_current_wal_lsn() AS text), (SELECT timeline_id FROM pg_control_checkpoint())"
            )
        os.sync()
        yield {"lsn": lsn, "timeline": timeline}
