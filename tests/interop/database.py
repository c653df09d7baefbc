"""The database of the control plane: a MariaDB of its own.

SQLite would do for Trove, but not for several of its processes: where two write at once, one is
refused, and Trove does not try again.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from guestagent.conformance.ports import LOOPBACK
from guestagent.contract.databases import Database as Schema
from tests.functional.mariadb.machine import Machine, machine, prepare
from tests.support.machine import user

NAME = "trove"
PASSWORD = "trove-password"
KEEP_STATUSES = (
    "CREATE TABLE heard (n BIGINT AUTO_INCREMENT PRIMARY KEY, instance_id VARCHAR(36), status VARCHAR(64))",
    "CREATE TRIGGER keep_statuses AFTER UPDATE ON service_statuses FOR EACH ROW"
    " INSERT INTO heard (instance_id, status) VALUES (NEW.instance_id, NEW.status_description)",
)
"""Trove keeps how a service is; the tests want to know how it was, too."""


class Database:
    """Where Trove keeps what it knows."""

    def __init__(self, where: Machine) -> None:
        self._where = where

    @property
    def url(self) -> str:
        """As SQLAlchemy takes it."""
        return f"mysql+pymysql://{NAME}:{PASSWORD}@{LOOPBACK}:{self._where.port}/{NAME}?charset=utf8mb4"

    def keep_statuses(self) -> None:
        """From now on keep every status that a service has; after Trove made its tables."""
        for statement in KEEP_STATUSES:
            self.rows(statement)

    def rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        """What a query finds."""
        with self._where.log_in(NAME, PASSWORD, database=NAME) as connection, connection.cursor() as cursor:
            cursor.execute(query, values or None)
            return list(cursor.fetchall())


@contextlib.contextmanager
def database() -> Iterator[Database]:
    """An empty database, in a server that ends with the block."""
    with machine() as where:
        manager = where.manager()
        prepare(manager, databases=[Schema(NAME)], users=[user(NAME, PASSWORD, databases=(NAME,))])
        manager.connections.close()
        yield Database(where)
