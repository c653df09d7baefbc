"""Backups: what a strategy has to know of this server."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from guestagent.capabilities.backups import ArchivedLogs
from guestagent.capabilities.configuration import BASE, OVERRIDES
from guestagent.contract.errors import DatastoreDown
from guestagent.system import files
from guestagent_mariadb.administrator import DATASTORE
from guestagent_mariadb.server import MariaDBServer

if TYPE_CHECKING:
    from guestagent.backup.job import ServerFacts
    from guestagent.capabilities.backups import Query


class MariaDBBackups(ArchivedLogs, MariaDBServer):
    """Supports the capability *backups*, and archived logs, with the strategies of the image."""

    @contextlib.contextmanager
    def backed_up_server(self) -> "Iterator[ServerFacts]":
        if not self.answers():
            raise DatastoreDown(datastore=DATASTORE, problem="a backup is made of a server that runs")
        with self._lent(self.layout.lent_credentials, self.layout.scratch_dir) as facts:
            yield facts

    @contextlib.contextmanager
    def archived_server(self) -> "Iterator[ServerFacts]":
        with self._lent(self.layout.archiver_credentials, self.layout.archiver_scratch_dir) as facts:
            yield facts

    def restored_server(self, target: Path) -> "ServerFacts":
        return self._facts(target, None, self.layout.scratch_dir)

    def draft_dir(self) -> Path:
        return self.layout.draft_dir

    @contextlib.contextmanager
    def scratch_server(self, target: Path, directory: Path) -> "Iterator[Query]":
        from guestagent_mariadb import scratch_server

        with scratch_server.running(
            self.options.server_program,
            self.account,
            target,
            directory,
            [self.configuration.read(layer) for layer in (BASE, OVERRIDES)],
            self.guest.conf.agent.server_start_timeout,
            self.options.statement_timeout,
        ) as server:
            yield server.query

    def tidy(self) -> None:
        super().tidy()
        files.remove_tree(self.layout.scratch_dir)
        files.remove_tree(self.layout.archiver_scratch_dir)
        self.layout.archiver_credentials.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _lent(self, credentials: Path, scratch_dir: Path) -> "Iterator[ServerFacts]":
        with self.administrator.lend_credentials(credentials, self.account) as lent:
            try:
                yield self._facts(self.layout.data_dir, lent, scratch_dir)
            finally:
                # Who worked there may have been killed.
                files.remove_tree(scratch_dir)

    def _facts(self, data_dir: Path, credentials: Path | None, scratch_dir: Path) -> "ServerFacts":
        from guestagent.backup.job import ServerFacts

        main = self.layout.main_file
        return ServerFacts(
            self.datastore_name,
            ".".join(map(str, self.program.version())),
            str(data_dir),
            str(scratch_dir),
            self.account,
            str(credentials) if credentials else None,
            str(main) if main.exists() else None,
        )
