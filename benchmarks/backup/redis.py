"""Redis: a dump of the server's, compressed by itself and as the agent keeps it."""

import contextlib
import os
import time
from pathlib import Path
from typing import Final

from guestagent_redis.resp import Connection

from benchmarks.backup import dataset
from benchmarks.backup.family import Family
from benchmarks.backup.instance import NAME, PASSWORD, Instance
from benchmarks.backup.pipelines import Pipeline, flow
from benchmarks.budgets import BGSAVE, ENCRYPTING_WORKER, WORKER, Budget
from guestagent.backup.job import ServerFacts
from tests.functional.redis.machine import Machine, prepare
from tests.support.machine import CONTEXT, user

DUMP: Final = "dump.rdb"
POLL_SECONDS: Final = 0.02
ANSWER_SECONDS: Final = 60
THE_MACHINES: Final = 0
"""MiB of memory that a control plane knows nothing of: the server gets its share of what there is."""


class RedisInstance(Instance):
    """One with Redis; its data are texts, each an order."""

    def __init__(self, directory: Path) -> None:
        self._machine = Machine(directory)
        self._manager = self._machine.manager()
        super().__init__(self._machine, self._manager)

    def prepare(self) -> None:
        prepare(self._manager, config_contents="", memory_mb=THE_MACHINES, users=[user(NAME, PASSWORD)])

    def fill(self, size: int) -> None:
        words = dataset.Words()
        with self._machine.client(NAME, PASSWORD) as client:
            for table in range(dataset.TABLES):
                for rows in words.batches(table, size // dataset.TABLES):
                    orders = (row.rstrip("\n").split("\t", 1) for row in rows)
                    client("MSET", *(word for number, order in orders for word in (f"order:{number}", order)))
        # Its log of changes is a short one then, and nobody rewrites it in somebody's turn.
        self._manager.restart(CONTEXT)

    @property
    def size(self) -> int:
        return int(self._manager.client.info("memory")["used_memory_dataset"])


class SavedDump(Pipeline):
    """``BGSAVE``, and a compressor when it is done."""

    def back_up(self, server: ServerFacts) -> None:
        _save(server)
        with (Path(server.data_dir) / DUMP).open("rb") as dump, self._file.open("wb") as kept:
            flow([self._pack], dump, kept)
            os.fsync(kept.fileno())

    def restore(self, server: ServerFacts) -> None:
        with self._file.open("rb") as kept, (Path(server.data_dir) / DUMP).open("wb") as dump:
            flow([self._unpack], kept, dump)
            os.fsync(dump.fileno())


def _save(server: ServerFacts) -> None:
    """Have the server save its data, and wait until it has."""
    known = dict(line.split(" ", 1) for line in Path(server.credentials or "").read_text().splitlines())
    with contextlib.closing(Connection(Path(known["unixsocket"]), ANSWER_SECONDS)) as connection:
        connection.call("AUTH", known["user"], known["password"])
        connection.call("BGSAVE")
        while "rdb_bgsave_in_progress:1" in str(connection.call("INFO", "persistence")):
            time.sleep(POLL_SECONDS)


FAMILY: Final = Family(
    name="redis",
    part="backup-redis",
    strategy="redis_rdb",
    instance=RedisInstance,
    bare={BGSAVE: SavedDump},
    budgets=(
        Budget("backup_mib_s", WORKER, 0.95, BGSAVE, at_least=True),
        Budget("peak_mib", WORKER, 96),
        Budget("peak_mib", ENCRYPTING_WORKER, 96),
    ),
)
