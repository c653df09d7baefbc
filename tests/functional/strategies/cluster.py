"""A PostgreSQL to back up, and the server that shows what came out of its backups."""

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from guestagent_pg_basebackup.strategy import PgBaseBackup
from guestagent_postgresql import scratch_server
from guestagent_postgresql.manager import PostgreSQLManager

from guestagent.backup.base import Server, Stage
from guestagent.capabilities.backups import Query
from guestagent.contract.databases import Database
from guestagent.system import files
from tests.functional.postgresql.machine import Machine, machine, prepare
from tests.support.machine import PASSWORD, user
from tests.support.postgresql import ACCOUNT, DATASTORE

OWNER = ACCOUNT if os.geteuid() == 0 else None
SECONDS = 60


class Shop:
    """A prepared instance with a database that has something in it."""

    def __init__(self, guest: Machine, version: str) -> None:
        self.machine = guest
        self.version = version
        self.manager: PostgreSQLManager = guest.manager()

    def ask(self, statement: str) -> list[list[object]]:
        return self.machine.ask("keeper", PASSWORD, statement, "shop")

    @contextlib.contextmanager
    def strategy(self) -> Iterator[PgBaseBackup]:
        with self.manager.backed_up_server() as facts:
            yield self._strategy(
                Server(
                    DATASTORE,
                    facts.version,
                    Path(facts.data_dir),
                    Path(facts.scratch_dir),
                    facts.account,
                    Path(facts.credentials or ""),
                    lasting_dir=Path(facts.lasting_dir or ""),
                )
            )

    @property
    def scratch(self) -> Path:
        return self.manager.layout.scratch_dir

    def slots(self) -> list[list[object]]:
        return self.manager.connections.fetch("Looking", "SELECT slot_name FROM pg_replication_slots")

    @contextlib.contextmanager
    def restored(self, stages: Sequence[Stage]) -> Iterator[Path]:
        """A data directory that was made of backups."""
        target = self.machine.volume / "restored"
        files.ensure_directory(target, mode=0o700, owner=OWNER, group=OWNER)
        try:
            self._strategy(Server(DATASTORE, f"{self.version}.0", target, self.scratch, OWNER)).restore(stages, target)
            yield target
        finally:
            shutil.rmtree(target)

    @contextlib.contextmanager
    def shown(self, data_dir: Path) -> Iterator[Query]:
        """What a server on restored data answers."""
        run_dir = self.machine.directory / "run" / "shown"
        files.ensure_directory(run_dir, mode=0o700, owner=OWNER, group=OWNER)
        try:
            programs = self.manager.programs
            with scratch_server.running(programs, OWNER, data_dir, run_dir, SECONDS, SECONDS) as query:
                yield query
        finally:
            shutil.rmtree(run_dir)

    def _strategy(self, server: Server) -> PgBaseBackup:
        made = PgBaseBackup(self.machine.conf, server)
        # The image has one place for the programs of both.
        versions_dir = self.machine.conf.postgresql.versions_dir
        self.machine.conf.set_override("versions_dir", versions_dir, "pg_basebackup")
        return made


@contextlib.contextmanager
def opened(version: str = "15", **settings: object) -> Iterator[Shop]:
    """A shop that is open, with a table ``quiet`` of 20000 rows."""
    with machine(**settings) as made:
        made.backup_strategies = ("pg_basebackup",)
        databases, users = [Database("shop")], [user("keeper", databases=("shop",))]
        prepare(made.manager(), databases=databases, users=users, ds_version=version)
        shop = Shop(made, version)
        shop.ask("CREATE TABLE quiet AS SELECT g AS id, md5(CAST(g AS text)) AS name FROM generate_series(1, 20000) g")
        try:
            yield shop
        finally:
            shop.manager.connections.close()
