"""A machine for one MariaDB guest: everything of it in one directory, and managers that know it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
from guestagent_mariadb import options
from guestagent_mariadb.manager import MariaDBManager
from oslo_config import cfg

from guestagent import conf as runtime_options
from guestagent.conformance.directories import reachable_directory
from guestagent.conformance.ports import LOOPBACK
from guestagent.contract.context import RequestContext
from guestagent.contract.databases import Database
from guestagent.contract.states import ServiceStatus
from guestagent.contract.users import User
from guestagent.guest import Guest
from guestagent.modules.ping import PingDriver
from guestagent.operations.instance import InstanceRecord
from guestagent.operations.store import Store
from guestagent.storage.local import LocalStorage
from guestagent.system.plain import PlainControl
from tests.support import mariadb
from tests.support.code_path import journaled, operations

CONTEXT = RequestContext({"is_admin": True, "request_id": "req-test"})
FLAVOUR = (Path(__file__).parent / "fixtures" / "flavour.cnf").read_text()
"""A base configuration as the control plane sends it for a small flavour."""

Rows = tuple[tuple[Any, ...], ...]


class Machine:
    """Where one guest lives.

    :param directory: reachable for the server's account; removed by who made it.
    """

    def __init__(self, directory: Path, **settings: object) -> None:
        self.directory = directory
        self.state_dir = directory / "state"
        self.reports: list[ServiceStatus] = []
        self.processes = PlainControl(directory / "processes")
        self.conf = cfg.ConfigOpts()
        runtime_options.register(self.conf)
        options.register(self.conf)
        self.conf([], default_config_files=[], default_config_dirs=[])
        self.conf.set_override("storage_dir", str(directory / "storage"), "agent")
        self.conf.set_override("server_start_timeout", 60, "agent")
        for name, value in {**mariadb.options(directory)["mariadb"], **settings}.items():
            self.conf.set_override(name, str(value) if isinstance(value, Path) else value, options.GROUP)

    @property
    def port(self) -> int:
        """Where clients reach the server."""
        return int(self.conf.mariadb.port)

    @property
    def volume(self) -> Path:
        """Where the data volume is mounted."""
        return Path(self.conf.mariadb.mount_point)

    def manager(self) -> MariaDBManager:
        """The manager of an agent that starts on the machine as it is now."""
        self.state_dir.mkdir(mode=0o700, exist_ok=True)
        store = Store(self.state_dir)
        return journaled(MariaDBManager)(
            Guest(
                id="mariadb-test",
                datastore=mariadb.DATASTORE,
                conf=self.conf,
                state_dir=self.state_dir,
                record=InstanceRecord(store),
                operations=operations(store, self.state_dir),
                processes=self.processes,
                storage={"local": LocalStorage(self.conf)},
                modules={"ping": PingDriver()},
                report=self.reports.append,
            )
        )

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

    def close(self) -> None:
        """Stop the server, if it runs."""
        manager = self.manager()
        manager.connections.close()
        manager.stop_server()


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
