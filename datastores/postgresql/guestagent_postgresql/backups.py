"""Backups: what a strategy has to know of this server."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from guestagent.capabilities.backups import ArchivedLogs
from guestagent.contract.errors import DatastoreDown
from guestagent.contract.states import Phase
from guestagent.system import files
from guestagent_postgresql.connection import DATABASE, DATASTORE
from guestagent_postgresql.server import PostgreSQLServer

if TYPE_CHECKING:
    from guestagent.backup.job import ServerFacts
    from guestagent.capabilities.backups import Query

SERVICE = "guestagent"
"""The name under which the lent file of connection services has the server."""


ARCHIVE_SLOT = "guestagent_archive"
"""The replication slot with which the archive strategy keeps the server from removing write-ahead log."""


class PostgreSQLBackups(ArchivedLogs, PostgreSQLServer):
    """Supports the capability *backups* with the strategies of the image.

    What is lent is no secret: it says where the server is, and the server knows its own account.
    """

    @contextlib.contextmanager
    def backed_up_server(self) -> "Iterator[ServerFacts]":
        if not self.answers():
            raise DatastoreDown(datastore=DATASTORE, problem="a backup is made of a server that runs")
        with self._lent(self.layout.lent_service_file, self.layout.scratch_dir) as facts:
            yield facts

    @contextlib.contextmanager
    def archived_server(self) -> "Iterator[ServerFacts]":
        with self._lent(self.layout.archiver_service_file, self.layout.archiver_scratch_dir) as facts:
            yield facts

    def restored_server(self, target: Path) -> "ServerFacts":
        return self._facts(target, None, self.layout.scratch_dir)

    @contextlib.contextmanager
    def scratch_server(self, target: Path, directory: Path) -> "Iterator[Query]":
        from guestagent_postgresql import scratch_server

        with scratch_server.running(
            self.programs,
            self.account,
            target,
            directory,
            self.guest.conf.agent.server_start_timeout,
            self.options.statement_timeout,
        ) as query:
            yield query

    def ensure_running(self) -> None:
        super().ensure_running()
        is_ready = self.guest.record.current.phase is Phase.READY
        if is_ready and not self.guest.archive_strategies and self.answers():
            # Nobody archives any more, and the log that is kept for that would fill the disk.
            self.connections.fetch(
                "Letting the write-ahead log go",
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = :slot",
                slot=ARCHIVE_SLOT,
            )

    def tidy(self) -> None:
        super().tidy()
        for path in (self.layout.lent_service_file, self.layout.archiver_service_file):
            path.unlink(missing_ok=True)
        for directory in (self.layout.scratch_dir, self.layout.archiver_scratch_dir):
            files.remove_tree(directory)

    @contextlib.contextmanager
    def _lent(self, path: Path, scratch_dir: Path) -> "Iterator[ServerFacts]":
        files.write(path, self._service_text(), mode=0o600, owner=self.account, group=self.account)
        try:
            yield self._facts(self.layout.data_dir, path, scratch_dir)
        finally:
            path.unlink()
            # Who worked there may have been killed.
            files.remove_tree(scratch_dir)

    def _service_text(self) -> str:
        facts = {
            "host": self.layout.socket_dir,
            "port": self.options.port,
            "user": self.options.administrator,
            "dbname": DATABASE,
        }
        return "\n".join([f"[{SERVICE}]", *(f"{name}={value}" for name, value in facts.items()), ""])

    def _facts(self, data_dir: Path, lent: Path | None, scratch_dir: Path) -> "ServerFacts":
        from guestagent.backup.job import ServerFacts

        return ServerFacts(
            self.datastore_name,
            ".".join(map(str, self.programs.version(self.major))),
            str(data_dir),
            str(scratch_dir),
            self.account,
            str(lent) if lent else None,
            lasting_dir=str(self.layout.lasting_backup_dir),
        )
