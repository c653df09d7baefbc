"""A machine for one PostgreSQL guest: everything of it in one directory, and managers that know it."""

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from guestagent_postgresql import options
from guestagent_postgresql.manager import PostgreSQLManager
from oslo_config import cfg
from pg8000.native import Connection

from guestagent import conf as runtime_options
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
from tests.support import postgresql
from tests.support.code_path import journaled, operations
from tests.support.directories import reachable_directory
from tests.support.ports import LOOPBACK

CONTEXT = RequestContext({"is_admin": True, "request_id": "req-test"})
FLAVOUR = (Path(__file__).parent / "fixtures" / "flavour.conf").read_text()
"""A base configuration as the control plane sends it for a small flavour."""
PASSWORD = "Wee/sleekit 1"

Rows = list[list[Any]]


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
        for name, value in {**postgresql.options(directory)["postgresql"], **settings}.items():
            self.conf.set_override(name, str(value) if isinstance(value, Path) else value, options.GROUP)

    @property
    def port(self) -> int:
        """Where clients reach the server."""
        return int(self.conf.postgresql.port)

    @property
    def volume(self) -> Path:
        """Where the data volume is mounted."""
        return Path(self.conf.postgresql.mount_point)

    def manager(self) -> PostgreSQLManager:
        """The manager of an agent that starts on the machine as it is now."""
        self.state_dir.mkdir(mode=0o700, exist_ok=True)
        store = Store(self.state_dir)
        return journaled(PostgreSQLManager)(
            Guest(
                id="postgresql-test",
                datastore=postgresql.DATASTORE,
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

    def close(self) -> None:
        """Stop the server, if it runs."""
        manager = self.manager()
        if (manager.data_dir / "PG_VERSION").exists():
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


def prepare(manager: PostgreSQLManager, **arguments: Any) -> None:
    """What the control plane sends to a new machine."""
    given: dict[str, Any] = {
        "packages": "",
        "databases": [],
        "memory_mb": 512,
        "users": [],
        "config_contents": FLAVOUR,
        "ds_version": "15",
    }
    manager.prepare(CONTEXT, **{**given, **arguments})


def user(name: str, password: str = PASSWORD, host: str | None = None, databases: tuple[str, ...] = ()) -> User:
    """A user as it travels."""
    return User(name, host, password, [Database(database) for database in databases])


def shown(manager: PostgreSQLManager, name: str) -> str:
    """A setting of the running server, as sessions begin with it."""
    manager.connections.close()
    [[value]] = manager.connections.fetch("Reading", "SELECT current_setting(:name)", name=name)
    return str(value)
