"""Holding the data still for a snapshot of the volume."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from guestagent.capabilities.snapshots import Snapshots
from guestagent.contract.errors import DatastoreError, GuestAgentError
from guestagent.contract.states import Phase
from guestagent.system import volume, waiting
from guestagent_redis import persistence
from guestagent_redis.server import RedisServer

LATER = 1
"""So many seconds later the server lets the data go by itself: what it does, a snapshot's guard does not know of."""


class RedisSnapshots(RedisServer, Snapshots):
    """Supports the calls around a snapshot.

    Writes wait, in the server and for so long as ``[backup] freeze_limit`` at most: when the agent has died, the next
    one lets them go, or the server by itself. What they had changed before is in the log of changes, or in a dump that
    is made for it.
    """

    @contextlib.contextmanager
    def held_still(self) -> Iterator[dict[str, Any]]:
        limit = self.guest.conf.backup.freeze_limit
        begun = time.monotonic()
        self._pause(limit)
        try:
            self._write_out(begun + limit)
            volume.sync(self.layout.data_dir)
            # Anew, because the caller's time begins here.
            self._pause(limit)
            if time.monotonic() > begun + limit:
                raise DatastoreError(
                    subject="Holding the data still", problem=f"saving them took longer than {limit} s"
                )
            replication = self.client.info("replication")
            yield {"replication_id": replication["master_replid"], "offset": int(replication["master_repl_offset"])}
        finally:
            if self.answers():
                self._release()

    def tidy(self) -> None:
        super().tidy()
        if self.guest.record.current.phase is Phase.READY and self.answers():
            # Of an agent that died while it held them. Where it cannot be asked, the server does it later by itself.
            with contextlib.suppress(GuestAgentError):
                self._release()

    def _release(self) -> None:
        self.client.ask("Letting the data go", "CLIENT", "UNPAUSE")

    def _pause(self, limit: int) -> None:
        self.client.ask("Holding the data still", "CLIENT", "PAUSE", (limit + LATER) * 1000, "WRITE")

    def _write_out(self, deadline: float) -> None:
        """Have everything that was written in a file."""
        if self.client.settings(persistence.SETTING)[persistence.SETTING] == "no":
            persistence.save(self.client)
            return
        while self.client.info("persistence")["aof_buffer_length"] != "0":
            if time.monotonic() > deadline:
                raise DatastoreError(subject="Holding the data still", problem="the server cannot write its log")
            waiting.pause(persistence.PERIOD)
