"""An instance with a PostgreSQL server whose backups are made and restored over the wire."""

from pathlib import Path
from typing import Any

from pg8000.native import Connection

from guestagent.conformance.ports import LOOPBACK
from tests.functional.postgresql.machine import FLAVOUR
from tests.support import newer_postgresql, postgresql
from tests.support.backed_up import PASSWORD, ROWS, BackedUpInstance


class Instance(BackedUpInstance):
    """With ``pg_basebackup``."""

    datastore = postgresql.DATASTORE
    strategy = "pg_basebackup"
    version = "15"
    flavour = FLAVOUR

    def options(self, directory: Path) -> dict[str, dict[str, object]]:
        return postgresql.options(directory, self.versions_dir())

    def versions_dir(self) -> Path | None:
        """Where the programs are; none: where the distribution has them."""
        return None

    def sql(self, statement: str) -> list[list[Any]]:
        with Connection("app", host=LOOPBACK, port=self.port, password=PASSWORD, database="shop") as connection:
            return connection.run(statement) or []

    def fill(self, table: str) -> None:
        words = f"'the same old ' || n * 7919 % {ROWS} || ' story'"
        self.sql(f"CREATE TABLE {table} AS SELECT n, {words} AS words FROM generate_series(1, {ROWS}) n")

    def checksum(self, table: str) -> str:
        [[found]] = self.sql(f"SELECT md5(string_agg(words, ',' ORDER BY n)) FROM {table}")
        return str(found)


class NewerInstance(Instance):
    """With a server whose backups can build on each other."""

    version = str(newer_postgresql.MAJOR)

    def versions_dir(self) -> Path | None:
        return newer_postgresql.versions_dir()
