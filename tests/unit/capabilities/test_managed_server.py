"""A server as a process: what is running, recorded and reported after each call and each failure."""

import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg

from guestagent.capabilities.configuration import BASE, LAYERS, OVERRIDES, ConfigurationFiles
from guestagent.capabilities.server import REVIVALS, ManagedServer, Preparation
from guestagent.conformance.poll import eventually
from guestagent.contract.context import RequestContext
from guestagent.contract.databases import Database
from guestagent.contract.errors import AlreadyExists, DatastoreError, InvalidValue, NotSupported, SystemFailure
from guestagent.contract.modules import Module, ModuleEnvelope, ModuleResult
from guestagent.contract.states import Phase, ServiceStatus, Wanted
from guestagent.contract.users import User
from guestagent.guest import Guest
from guestagent.operations.plan import Step
from guestagent.system.processes import ProcessState, Service
from tests.unit.capabilities.conftest import MakeGuest

CONTEXT = RequestContext({"request_id": "req-1"})

SERVER = """
import pathlib, socket, sys, time
configuration = "".join(path.read_text() for path in sorted(pathlib.Path(sys.argv[1]).glob("*.cnf")))
if "die" in configuration:
    sys.exit("unknown variable 'die'")
while "mute" in configuration:
    time.sleep(1)
pathlib.Path(sys.argv[2]).unlink(missing_ok=True)
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[2])
server.listen()
while True:
    server.accept()[0].sendall(configuration.encode())
"""
"""Says its configuration to everybody who connects; dies or stays mute when the configuration says so."""


class Greeter(ManagedServer):
    """A plugin for the server above."""

    def __init__(self, guest: Guest, directory: Path) -> None:
        super().__init__(guest)
        self.directory = directory
        self.files = ConfigurationFiles(directory / "conf.d", ".cnf")
        self.made: list[Any] = []
        self.broken_step = False

    @property
    def configuration(self) -> ConfigurationFiles:
        return self.files

    def render(self, values: Mapping[str, Any]) -> str:
        return "".join(f"{name} = {value}\n" for name, value in values.items())

    def check_configuration(self) -> None:
        if any("nonsense" in self.files.read(layer) for layer in LAYERS):
            raise InvalidValue(subject="The configuration", problem="unknown variable 'nonsense'")

    def apply_live(self, values: Mapping[str, Any]) -> list[str]:
        return []

    def service(self) -> Service:
        arguments = (str(self.files.directory), str(self.directory / "socket"))
        return Service(
            name="greeter",
            argv=[sys.executable, "-I", "-S", "-c", SERVER, *arguments],
            log=self.directory / "greeter.log",
        )

    def said(self) -> str | None:
        """What the server says; none: it does not answer."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            try:
                client.connect(str(self.directory / "socket"))
            except (FileNotFoundError, ConnectionRefusedError):
                return None
            with client.makefile() as answer:
                return answer.read()

    def answers(self) -> bool:
        return self.said() is not None

    def prepare_steps(self, preparation: Preparation) -> Sequence[Step]:
        return [
            Step("write the configuration", lambda: self._configure(preparation)),
            Step("break", self._break),
            Step("start the server", self.start_server),
        ]

    def rebuild_steps(self, preparation: Preparation) -> Sequence[Step]:
        return self.prepare_steps(preparation)

    def create_database(self, context: RequestContext, databases: list[Database]) -> None:
        if any(database.name == "taken" for database in databases):
            raise AlreadyExists(subject="Database 'taken'")
        self.made += [database.name for database in databases]

    def create_user(self, context: RequestContext, users: list[User]) -> None:
        self.made += [user.name for user in users]

    def enable_root_with_password(self, context: RequestContext, root_password: str | None = None) -> User:
        self.made.append("root")
        return User(name="root", password=root_password)

    def module_apply(self, context: RequestContext, modules: list[ModuleEnvelope]) -> list[ModuleResult]:
        self.made += [envelope.module.name for envelope in modules]
        return []

    def _configure(self, preparation: Preparation) -> None:
        self.write_base(preparation.config_contents)
        self.files.write(OVERRIDES, self.render(preparation.overrides))

    def _break(self) -> None:
        if self.broken_step:
            raise SystemFailure(subject="Mounting /dev/vdb", problem="it is no block device")


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory of a path short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="greeter-") as made:
        yield Path(made)


@pytest.fixture
def manager(make_guest: MakeGuest, directory: Path, conf: cfg.ConfigOpts) -> Iterator[Greeter]:
    conf.set_override("server_start_timeout", 20, group="agent")
    made = Greeter(make_guest(), directory)
    yield made
    made.stop_server()


@pytest.fixture
def prepared(manager: Greeter, reported: list[ServiceStatus]) -> Greeter:
    """A manager of an instance that is ready and runs with ``a = 1``."""
    prepare(manager, config_contents="a = 1\n")
    reported.clear()
    return manager


def prepare(manager: Greeter, **arguments: Any) -> None:
    values: dict[str, Any] = {"packages": "", "databases": [], "memory_mb": 512, "users": [], **arguments}
    manager.prepare(CONTEXT, **values)


def kill(manager: Greeter) -> None:
    """The server dies without having been asked to."""
    pid = manager.guest.processes.pid(manager.service())
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: manager.guest.processes.state(manager.service()) is ProcessState.CRASHED)


def test_prepare_brings_the_server_up_and_says_so(manager: Greeter, reported: list[ServiceStatus]) -> None:
    prepare(
        manager,
        config_contents="a = 1\n",
        overrides={"b": 2},
        device_path="/dev/vdb",
        mount_point="/var/lib/x",
        ds_version="8.0",
    )
    assert manager.said() == "a = 1\nb = 2\n"
    assert reported == [ServiceStatus.BUILDING, ServiceStatus.HEALTHY]
    record = manager.guest.record.current
    assert (record.phase, record.wanted) == (Phase.READY, Wanted.RUNNING)
    assert (record.device_path, record.mount_point, record.datastore_version) == ("/dev/vdb", "/var/lib/x", "8.0")


def test_prepare_creates_what_it_was_given(manager: Greeter) -> None:
    prepare(
        manager,
        databases=[Database(name="db1")],
        users=[User(name="bob")],
        root_password="x",
        modules=[ModuleEnvelope(Module(id="1", name="m1", type="ping"))],
    )
    assert manager.made == ["db1", "bob", "root", "m1"]


def test_a_database_that_cannot_be_created_is_told_and_the_instance_is_healthy(
    manager: Greeter, reported: list[ServiceStatus]
) -> None:
    with pytest.raises(AlreadyExists, match="taken"):
        prepare(manager, databases=[Database(name="taken")], users=[User(name="bob")])
    assert manager.made == ["bob"]
    assert manager.guest.record.current.phase is Phase.READY
    assert reported[-1] is ServiceStatus.HEALTHY


def test_a_second_prepare_changes_nothing(prepared: Greeter, reported: list[ServiceStatus]) -> None:
    pid = prepared.guest.processes.pid(prepared.service())
    prepare(prepared, config_contents="die\n", databases=[Database(name="db1")])
    assert prepared.guest.processes.pid(prepared.service()) == pid
    assert prepared.said() == "a = 1\n"
    assert prepared.made == []
    assert reported == [ServiceStatus.HEALTHY]


@pytest.mark.parametrize("source", ["backup_info", "cluster_config", "snapshot"])
def test_an_instance_that_should_hold_data_does_not_come_up_empty(
    manager: Greeter, reported: list[ServiceStatus], source: str
) -> None:
    with pytest.raises(NotSupported, match="prepare from"):
        prepare(manager, **{source: {"id": "1"}})
    assert manager.said() is None
    assert reported == [ServiceStatus.BUILDING, ServiceStatus.FAILED]


def test_a_prepare_that_fails_is_reported_and_can_be_tried_again(
    manager: Greeter, reported: list[ServiceStatus]
) -> None:
    manager.broken_step = True
    with pytest.raises(SystemFailure, match="/dev/vdb"):
        prepare(manager)
    assert reported == [ServiceStatus.BUILDING, ServiceStatus.FAILED]
    record = manager.guest.record.current
    assert (record.phase, record.wanted) == (Phase.FAILED, Wanted.STOPPED)
    manager.broken_step = False
    prepare(manager)
    assert manager.guest.record.current.phase is Phase.READY


def test_a_server_that_ends_at_once_is_reported_with_its_log(manager: Greeter) -> None:
    with pytest.raises(DatastoreError, match=r"it ended at once.*greeter\.log"):
        prepare(manager, config_contents="die\n")
    assert "unknown variable 'die'" in (manager.directory / "greeter.log").read_text()


def test_a_server_that_does_not_answer_is_reported_in_time(manager: Greeter, conf: cfg.ConfigOpts) -> None:
    conf.set_override("server_start_timeout", 1, group="agent")
    with pytest.raises(DatastoreError, match="server_start_timeout"):
        prepare(manager, config_contents="mute\n")
    assert manager.service_status() is ServiceStatus.BLOCKED


def test_rebuild_brings_the_kept_data_up(manager: Greeter, reported: list[ServiceStatus]) -> None:
    manager.rebuild(CONTEXT, "8.0", config_contents="a = 1\n", config_overrides={"b": 2})
    assert manager.said() == "a = 1\nb = 2\n"
    assert manager.guest.record.current.phase is Phase.READY
    assert reported == [ServiceStatus.BUILDING, ServiceStatus.HEALTHY]


def test_a_stopped_server_stays_stopped(prepared: Greeter, reported: list[ServiceStatus]) -> None:
    prepared.stop_db(CONTEXT)
    assert reported == [ServiceStatus.SHUTDOWN]
    prepared.ensure_running()
    assert prepared.said() is None
    assert prepared.service_status() is ServiceStatus.SHUTDOWN
    prepared.stop_db(CONTEXT)


def test_restart_starts_a_stopped_server(prepared: Greeter, reported: list[ServiceStatus]) -> None:
    prepared.stop_db(CONTEXT)
    prepared.restart(CONTEXT)
    assert prepared.said() == "a = 1\n"
    assert prepared.guest.record.current.wanted is Wanted.RUNNING
    assert reported == [ServiceStatus.SHUTDOWN, ServiceStatus.RESTARTING, ServiceStatus.HEALTHY]


def test_restart_brings_a_new_configuration_in_force(prepared: Greeter) -> None:
    pid = prepared.guest.processes.pid(prepared.service())
    prepared.update_overrides(CONTEXT, {"b": 2})
    assert prepared.said() == "a = 1\n"
    prepared.restart(CONTEXT)
    assert prepared.said() == "a = 1\nb = 2\n"
    assert prepared.guest.processes.pid(prepared.service()) != pid


@pytest.mark.parametrize("contents", ["a = 2\n", {"config_contents": "a = 2\n"}])
def test_a_resized_server_starts_with_its_new_configuration(prepared: Greeter, contents: Any) -> None:
    prepared.stop_db(CONTEXT)
    prepared.start_db_with_conf_changes(CONTEXT, contents, "8.0")
    assert prepared.said() == "a = 2\n"
    assert prepared.guest.record.current.wanted is Wanted.RUNNING


@pytest.mark.parametrize("contents", ["nonsense\n", "die\n"], ids=["refused when checked", "refused when started"])
def test_a_configuration_that_the_server_refuses_leaves_the_previous_one_in_force(
    prepared: Greeter, reported: list[ServiceStatus], contents: str
) -> None:
    prepared.stop_db(CONTEXT)
    with pytest.raises(InvalidValue, match="onfiguration"):
        prepared.start_db_with_conf_changes(CONTEXT, contents)
    assert prepared.said() == "a = 1\n"
    assert prepared.files.read(BASE) == "a = 1\n"
    assert reported[-1] is ServiceStatus.HEALTHY


def test_a_configuration_that_keeps_the_server_mute_leaves_the_previous_one_in_force(
    prepared: Greeter, conf: cfg.ConfigOpts
) -> None:
    prepared.stop_db(CONTEXT)
    conf.set_override("server_start_timeout", 8, group="agent")
    with pytest.raises(InvalidValue, match="server_start_timeout"):
        prepared.start_db_with_conf_changes(CONTEXT, "mute\n")
    assert prepared.said() == "a = 1\n"


def test_a_server_that_died_has_crashed_and_is_started_again(prepared: Greeter) -> None:
    kill(prepared)
    assert prepared.service_status() is ServiceStatus.CRASHED
    prepared.ensure_running()
    assert prepared.service_status() is ServiceStatus.HEALTHY


def test_a_server_that_dies_again_and_again_is_left_for_a_person(prepared: Greeter) -> None:
    for _ in range(REVIVALS):
        kill(prepared)
        prepared.ensure_running()
        assert prepared.said() is not None
    kill(prepared)
    prepared.ensure_running()
    assert prepared.said() is None
    prepared.restart(CONTEXT)
    assert prepared.said() == "a = 1\n", "a person can start it"


def test_a_server_that_was_well_in_between_is_started_again_each_time(prepared: Greeter) -> None:
    for _ in range(REVIVALS + 1):
        kill(prepared)
        prepared.ensure_running()
        assert prepared.service_status() is ServiceStatus.HEALTHY


def test_the_next_agent_finds_the_server_and_leaves_it_alone(
    prepared: Greeter, make_guest: MakeGuest, directory: Path
) -> None:
    pid = prepared.guest.processes.pid(prepared.service())
    successor = Greeter(make_guest(), directory)
    successor.ensure_running()
    assert successor.guest.processes.pid(successor.service()) == pid
    assert successor.service_status() is ServiceStatus.HEALTHY


def test_the_next_agent_after_a_reboot_starts_the_server(
    prepared: Greeter, make_guest: Callable[..., Guest], directory: Path
) -> None:
    prepared.stop_server()
    successor = Greeter(make_guest(), directory)
    successor.ensure_running()
    assert successor.said() == "a = 1\n"


def test_nothing_is_started_before_prepare(manager: Greeter) -> None:
    manager.ensure_running()
    assert manager.said() is None
