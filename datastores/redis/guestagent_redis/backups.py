"""Backups: what a strategy has to know of this server."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from guestagent.capabilities.backups import BackedUp
from guestagent.contract.errors import DatastoreDown
from guestagent.system import files
from guestagent_redis.server import RedisServer

if TYPE_CHECKING:
    from guestagent.backup.job import ServerFacts
    from guestagent.capabilities.backups import Query


class RedisBackups(BackedUp, RedisServer):
    """Supports the capability *backups* with the strategies of the image."""

    @contextlib.contextmanager
    def backed_up_server(self) -> "Iterator[ServerFacts]":
        if not self.answers():
            raise DatastoreDown(datastore=self.datastore_name, problem="a backup is made of a server that runs")
        with self.administrator.lend_credentials(self.layout.lent_credentials, self.account) as lent:
            yield self._facts(self.layout.data_dir, lent)

    def restored_server(self, target: Path) -> "ServerFacts":
        return self._facts(target, None)

    def draft_dir(self) -> Path:
        return self.layout.draft_dir

    @contextlib.contextmanager
    def scratch_server(self, target: Path, directory: Path) -> "Iterator[Query]":
        from guestagent_redis import scratch_server

        with scratch_server.running(
            self.options.server_program,
            self.account,
            self.datastore_name,
            target,
            directory,
            self.guest.conf.agent.server_start_timeout,
            self.options.statement_timeout,
        ) as server:
            yield server.query

    def tidy(self) -> None:
        super().tidy()
        files.remove_tree(self.layout.scratch_dir)

    def _facts(self, data_dir: Path, credentials: Path | None) -> "ServerFacts":
        from guestagent.backup.job import ServerFacts

        return ServerFacts(
            self.datastore_name,
            ".".join(map(str, self.program.version())),
            str(data_dir),
            str(self.layout.scratch_dir),
            self.account,
            str(credentials) if credentials else None,
        )
