"""A machine for one PostgreSQL guest: everything of it in one directory, and managers that know it."""

import functools
import ssl
from pathlib import Path
from typing import Any

from guestagent_postgresql import options
from guestagent_postgresql.manager import PostgreSQLManager
from pg8000.native import Connection

from guestagent.conformance.ports import LOOPBACK
from tests.support import machine as anybody
from tests.support import postgresql

FLAVOUR = (Path(__file__).parent / "fixtures" / "flavour.conf").read_text()
"""A base configuration as the control plane sends it for a small flavour."""

Rows = list[list[Any]]


class Machine(anybody.Machine[PostgreSQLManager]):
    """Where one PostgreSQL guest lives."""

    def __init__(self, directory: Path, **settings: object) -> None:
        given = {**postgresql.options(directory)["postgresql"], **settings}
        super().__init__(directory, postgresql.DATASTORE, PostgreSQLManager, given)

    def register(self) -> None:
        options.register(self.conf)

    def log_in(self, name: str, password: str, database: str = "postgres", tls: ssl.SSLContext | None = None) -> Any:
        """A client's connection over the network; without TLS unless it is told how."""
        return Connection(
            name,
            host=LOOPBACK,
            port=self.port,
            password=password,
            database=database,
            timeout=30,
            ssl_context=tls or False,
        )

    def ask(self, name: str, password: str, statement: str, database: str = "postgres", **options: Any) -> Rows:
        """What a client is answered."""
        with self.log_in(name, password, database, **options) as connection:
            return connection.run(statement) or []


machine = functools.partial(anybody.opened, Machine)
"""A machine on which nothing has happened yet; takes options of the datastore."""
prepare = functools.partial(anybody.prepare, config_contents=FLAVOUR, ds_version="15")
"""What the control plane sends to a new machine."""


def shown(manager: PostgreSQLManager, name: str) -> str:
    """A setting of the running server, as sessions begin with it."""
    manager.connections.close()
    [[value]] = manager.connections.fetch("Reading", "SELECT current_setting(:name)", name=name)
    return str(value)
