"""A machine for one guest, without an agent's process: everything of it in one directory, and managers that know it."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from oslo_config import cfg

from guestagent import conf as runtime_options
from guestagent.capabilities.server import ManagedServer
from guestagent.conformance.directories import reachable_directory
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
from tests.support.code_path import journaled, operations

CONTEXT = RequestContext({"is_admin": True, "request_id": "req-test"})
PASSWORD = "Wee/sleekit 1"

Manager = TypeVar("Manager", bound=ManagedServer)


class Machine(Generic[Manager]):
    """Where one guest lives.

    :param directory: reachable for the server's account; removed by who made it.
    :param datastore: the name that the image declares.
    :param kind: the manager's class.
    :param options: the values of the datastore's options.
    """

    def __init__(self, directory: Path, datastore: str, kind: type[Manager], options: Mapping[str, object]) -> None:
        self.directory = directory
        self.datastore = datastore
        self.state_dir = directory / "state"
        self.backup_strategies: tuple[str, ...] = ()
        self.archive_strategies: tuple[str, ...] = ()
        self.reports: list[ServiceStatus] = []
        self.processes = PlainControl(directory / "processes")
        self.conf = cfg.ConfigOpts()
        runtime_options.register(self.conf)
        self.register()
        self.conf([], default_config_files=[], default_config_dirs=[])
        self.conf.set_override("storage_dir", str(directory / "storage"), "agent")
        self.conf.set_override("server_start_timeout", 60, "agent")
        for name, value in options.items():
            self.conf.set_override(name, str(value) if isinstance(value, Path) else value, datastore)
        self._kind = kind

    def register(self) -> None:
        """Register the datastore's options."""
        raise NotImplementedError

    @property
    def port(self) -> int:
        """Where clients reach the server."""
        return int(self.conf[self.datastore].port)

    @property
    def volume(self) -> Path:
        """Where the data volume is mounted."""
        return Path(self.conf[self.datastore].mount_point)

    def manager(self) -> Manager:
        """The manager of an agent that starts on the machine as it is now."""
        self.state_dir.mkdir(mode=0o700, exist_ok=True)
        store = Store(self.state_dir)
        return journaled(self._kind)(
            Guest(
                id=f"{self.datastore}-test",
                datastore=self.datastore,
                conf=self.conf,
                state_dir=self.state_dir,
                record=InstanceRecord(store),
                operations=operations(store, self.state_dir),
                processes=self.processes,
                storage={"local": LocalStorage(self.conf)},
                modules={"ping": PingDriver()},
                backup_strategies=self.backup_strategies,
                archive_strategies=self.archive_strategies,
                report=self.reports.append,
            )
        )

    def close(self) -> None:
        """Stop the server, if it runs."""
        self.manager().stop_server()


AnyMachine = TypeVar("AnyMachine", bound=Machine[Any])


@contextlib.contextmanager
def opened(kind: Callable[..., AnyMachine], **settings: Any) -> Iterator[AnyMachine]:
    """A machine on which nothing has happened yet.

    :param kind: makes it in a directory.
    :param settings: what it takes beside that.
    """
    with reachable_directory() as directory:
        made = kind(directory, **settings)
        try:
            yield made
        finally:
            made.close()


def prepare(manager: ManagedServer, **arguments: Any) -> None:
    """What the control plane sends to a new machine."""
    given: dict[str, Any] = {"packages": "", "databases": [], "memory_mb": 512, "users": []}
    manager.prepare(CONTEXT, **{**given, **arguments})


def user(name: str, password: str = PASSWORD, host: str | None = None, databases: tuple[str, ...] = ()) -> User:
    """A user as it travels."""
    return User(name, host, password, [Database(database) for database in databases])
