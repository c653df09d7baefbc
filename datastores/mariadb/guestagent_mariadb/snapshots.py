"""Holding MariaDB's data still for a snapshot of the volume."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from guestagent.capabilities.snapshots import Snapshots
from guestagent_mariadb.server import MariaDBServer


class MariaDBSnapshots(MariaDBServer, Snapshots):
    """Supports the calls around a snapshot.

    The read lock keeps everybody from writing and commits from ending. InnoDB's own writes go on, and a server that
    starts on the snapshot recovers from them as from a crash.
    """

    @contextlib.contextmanager
    def held_still(self) -> Iterator[dict[str, Any]]:
        with self.connections.holding("Holding the data still", "FLUSH TABLES WITH READ LOCK") as ask:
            [(gtid,)] = ask("SELECT @@GLOBAL.gtid_current_pos")
            binlog = ask("SHOW MASTER STATUS")
            os.sync()
            found: dict[str, Any] = {"gtid": gtid}
            if binlog:
                found |= {"log_file": binlog[0][0], "log_position": binlog[0][1]}
            yield found
