"""A machine for one MariaDB guest: everything of it in one directory, and managers that know it."""

import functools
from pathlib import Path
from typing import Any

import pymysql
from guestagent_mariadb import options
from guestagent_mariadb.manager import MariaDBManager

from guestagent.conformance.ports import LOOPBACK
from tests.support import machine as anybody
from tests.support import mariadb

FLAVOUR = (Path(__file__).parent / "fixtures" / "flavour.cnf").read_text()
"""A base configuration as the control plane sends it for a small flavour."""

Rows = tuple[tuple[Any, ...], ...]


class Machine(anybody.Machine[MariaDBManager]):
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


machine = functools.partial(anybody.opened, Machine)
"""A machine on which nothing has happened yet; takes options of the datastore."""
prepare = functools.partial(anybody.prepare, config_contents=FLAVOUR, ds_version="11.4")
"""What the control plane sends to a new machine."""
