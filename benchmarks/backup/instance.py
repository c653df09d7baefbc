"""The instance that is backed up: a real server, prepared as the agent prepares it, with data in it."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

import pymysql
from guestagent_mariadb.manager import MariaDBManager

from benchmarks.backup import dataset
from guestagent.backup.job import ServerFacts
from guestagent.system import files
from tests.functional.mariadb.machine import Machine, prepare, user
from tests.support.machine import CONTEXT
from tests.support.mariadb import ACCOUNT

OWNER: Final = ACCOUNT if os.geteuid() == 0 else None
NAME, PASSWORD = "keeper", "Sleekit-cowrin-1"
SETTINGS: Final = "[mysqld]\ninnodb_buffer_pool_size = 256M\ninnodb_log_file_size = 256M\nlocal_infile = 1\n"
"""A small guest's; a table is loaded from a client."""
LOAD_SECONDS: Final = 3600


class Instance:
    """A machine with a running server; a context manager that stops it.

    :param directory: on the disk that is measured, reachable for the server's account; short.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._machine = Machine(directory)
        self._manager: MariaDBManager = self._machine.manager()

    def __enter__(self) -> Self:
        prepare(self._manager, config_contents=SETTINGS, users=[user(NAME, PASSWORD, databases=(dataset.DATABASE,))])
        self._manager.connections.execute("Making the data", f"CREATE DATABASE {dataset.DATABASE}")
        return self

    def __exit__(self, *error: object) -> None:
        self._manager.connections.close()
        self._machine.close()

    def fill(self, size: int) -> None:
        """Make so many bytes of data, and have them where they stay: no change waits for its page."""
        with self.client(local_infile=True, read_timeout=LOAD_SECONDS) as connection:
            dataset.fill(connection, self.directory / "rows", size)
        self._manager.restart(CONTEXT)

    def client(self, **options: Any) -> "pymysql.Connection[Any]":
        """A user's connection."""
        return self._machine.log_in(NAME, PASSWORD, database=dataset.DATABASE, **options)

    @property
    def size(self) -> int:
        """Bytes of the files of its tables."""
        return sum(path.stat().st_size for path in (self._manager.layout.data_dir / dataset.DATABASE).iterdir())

    @contextlib.contextmanager
    def backed_up(self) -> Iterator[ServerFacts]:
        """What is told to who backs it up."""
        with self._manager.backed_up_server() as facts:
            yield facts

    @contextlib.contextmanager
    def restored(self) -> Iterator[ServerFacts]:
        """An empty directory for a restore, as the data directory of what is told to who restores; removed again."""
        target = self._machine.volume / "restored"
        files.ensure_directory(target, mode=0o700, owner=OWNER, group=OWNER)
        try:
            yield self._manager.restored_server(target)
        finally:
            shutil.rmtree(target)
