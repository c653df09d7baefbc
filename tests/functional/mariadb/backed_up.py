"""An instance with a MariaDB server whose backups are made and restored over the wire."""

from pathlib import Path
from typing import Any

import pymysql

from guestagent.conformance.ports import LOOPBACK
from tests.functional.mariadb.machine import FLAVOUR
from tests.support import mariadb
from tests.support.backed_up import PASSWORD, ROWS, BackedUpInstance


class Instance(BackedUpInstance):
    """With ``mariabackup``."""

    datastore = mariadb.DATASTORE
    strategy = "mariabackup"
    version = "10.11"
    flavour = FLAVOUR

    def options(self, directory: Path) -> dict[str, dict[str, object]]:
        return mariadb.options(directory)

    def sql(self, statement: str, *values: Any) -> tuple[tuple[Any, ...], ...]:
        with (
            pymysql.connect(
                host=LOOPBACK, port=self.port, user="app", password=PASSWORD, database="shop", autocommit=True
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement, values)
            return tuple(cursor.fetchall())

    def fill(self, table: str) -> None:
        self.sql(f"CREATE TABLE {table} (id INT PRIMARY KEY, words TEXT)")
        words = ", ".join(f"({n}, 'the same old {n * 7919 % ROWS} story')" for n in range(ROWS))
        self.sql(f"INSERT INTO {table} VALUES {words}")

    def checksum(self, table: str) -> int:
        [(_, found)] = self.sql(f"CHECKSUM TABLE {table}")
        return int(found)
