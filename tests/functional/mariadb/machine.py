"""A machine for one MariaDB guest: everything of it in one directory, and managers that know it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
from guestagent_mariadb import options
from guestagent_mariadb.manager import MariaDBManager

from guestagent.conformance.directories import reachable_directory
from guestagent.conformance.ports import LOOPBACK
from guestagent.contract.databases import Database
from guestagent.contract.users import User
from tests.support import mariadb
from tests.support.machine import CONTEXT
from tests.support.machine import Machine as AnyMachine

FLAVOUR = (Path(__file__).parent / "fixtures" / "flavour.cnf").read_text()
"""A base configuration as the control plane sends it for a small flavour."""

Rows = tuple[tuple[Any, ...], ...]


class Machine(AnyMachine[MariaDBManager]):
    """Where one MariaDB guest lives."""

    def __init__(self, directory: Path, **settings: object) -> None:
        given = {**mariadb.options(directory)["mariadb"], **settings}
        super().__init__(directory, mariadb.DATASTORE, MariaDBManager, given)

    def register(self) -> None:
        options.register(self.conf)

    def log_in(self, name: str, password: str, **options: Any) -> "pymysql.Connection[Any]":
        """A client's connection over the network."""
        settings = {"host": LOOPBACK, "port": self.port, "charset": "utf8mb4", "autocommit": True, "read_timeout": 30}
        # A text would be sent as Latin-1 here; other clients send UTF-8.
        return pymysql.connect(user=name, password=password.encode(), **{**settings, **options})

    def ask(self, name: str, password: str, statement: str, **options: Any) -> Rows:
        """What a client is answered."""
        with self.log_in(name, password, **options) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return tuple(cursor.fetchall())


@contextlib.contextmanager
def machine(**settings: object) -> Iterator[Machine]:
    """A machine on which nothing has happened yet."""
    with reachable_directory() as directory:
        made = Machine(directory, **settings)
        try:
            yield made
        finally:
            made.close()


def prepare(manager: MariaDBManager, **arguments: Any) -> None:
    """What the control plane sends to a new machine."""
    given: dict[str, Any] = {
        "packages": "",
        "databases": [],
        "memory_mb": 512,
        "users": [],
        "config_contents": FLAVOUR,
        "ds_version": "11.4",
    }
    manager.prepare(CONTEXT, **{**given, **arguments})


def user(name: str, password: str = "Wee/sleekit 1", host: str | None = None, databases: tuple[str, ...] = ()) -> User:
    """A user as it travels."""
    return User(name, host, password, [Database(database) for database in databases])
