"""From an empty directory to a running server, and what happens when that is interrupted or repeated."""

import logging
import os
import stat
from pathlib import Path

import msgspec
import pymysql
import pytest
from guestagent_mariadb.manager import MariaDBManager

from guestagent.capabilities.server import Preparation
from guestagent.conformance.ports import blocked_port
from guestagent.contract.databases import Database
from guestagent.contract.errors import DatastoreError, InvalidValue, NotSupported
from guestagent.contract.modules import Module, ModuleEnvelope
from guestagent.contract.states import Phase, ServiceStatus, Wanted
from guestagent.guest import Guest
from guestagent.operations.journal import Journal
from guestagent.operations.plan import Plan
from guestagent.operations.queue import OperationQueue
from guestagent.operations.store import Store
from guestagent.operations.vault import Vault
from guestagent.system import command
from tests.functional.mariadb.machine import FLAVOUR, Machine, machine, prepare
from tests.support.code_path import PATIENCE
from tests.support.machine import CONTEXT, user


def variable(manager: MariaDBManager, name: str) -> object:
    [(value,)] = manager.connections.fetch("Reading", f"SELECT @@GLOBAL.{name}")
    return value


class TestPrepared:
    """What the control plane's first message leaves behind."""

    def test_the_flavour_is_obeyed_where_it_can_be(self, guest: Machine, manager: MariaDBManager) -> None:
        assert variable(manager, "max_connections") == 100
        assert variable(manager, "innodb_buffer_pool_size") == 150 << 20
        assert variable(manager, "innodb_data_file_path") == "ibdata1:10M:autoextend"
        assert (guest.volume / "data" / "ibdata1").stat().st_size >= 10 << 20

    def test_the_agent_has_its_way_where_it_must(self, guest: Machine, manager: MariaDBManager) -> None:
        assert variable(manager, "port") == guest.port
        assert variable(manager, "datadir") == f"{guest.volume}/data/"
        assert variable(manager, "tmpdir") == f"{guest.volume}/tmp"
        assert variable(manager, "secure_file_priv") == f"{guest.volume}/files/"
        assert variable(manager, "character_set_server") == "utf8mb4"

    def test_only_the_servers_own_files_are_read(self, guest: Machine) -> None:
        base = guest.manager().configuration.path("base").read_text()
        assert "[client]" not in base
        assert "[isamchk]" not in base
        assert "!includedir" not in base

    def test_nobody_enters_but_the_agent(self, guest: Machine, manager: MariaDBManager) -> None:
        found = manager.connections.fetch("Looking", "SELECT User, Host FROM mysql.user ORDER BY 1")
        assert found == [("guestagent", "localhost"), ("mariadb.sys", "localhost"), ("root", "localhost")]
        for name in ("", "root", "guestagent", "mysql", "anybody"):
            with pytest.raises(pymysql.err.OperationalError):
                guest.log_in(name, "")
        assert manager.list_databases(CONTEXT) == ([], None)

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
    def test_on_the_guest_only_the_systems_root_enters(self, manager: MariaDBManager) -> None:
        for account, name, enters in (
            ("root", "root", True),
            ("nobody", "root", False),
            ("mysql", "root", False),
            ("mysql", "mysql", False),
            ("nobody", "", False),
            ("root", "guestagent", False),
        ):
            client = ["mariadb", "--no-defaults", f"--user={name}", f"--socket={manager.layout.socket}"]
            done = command.run([*client, "--execute=SELECT 1"], timeout=30, user=account, accept=(0, 1))
            assert (done.code == 0) is enters, (account, name)

    def test_the_data_are_for_the_servers_account_only(self, guest: Machine) -> None:
        assert stat.S_IMODE((guest.volume / "data").stat().st_mode) == 0o700

    def test_the_server_cannot_put_links_in_the_agents_way(self, guest: Machine) -> None:
        assert guest.volume.stat().st_uid == os.geteuid()
        assert not guest.volume.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)

    def test_the_configuration_is_for_the_server_to_read_and_not_to_write(self, guest: Machine) -> None:
        for path in (found := Path(guest.conf.mariadb.config_dir)), *found.rglob("*"):
            assert path.stat().st_uid == os.geteuid(), path
            assert not path.stat().st_mode & (stat.S_IRWXO | stat.S_IWGRP), path

    def test_the_server_leaves_no_memory_behind(self, guest: Machine, manager: MariaDBManager) -> None:
        pid = guest.processes.pid(manager.service())
        limits = Path(f"/proc/{pid}/limits").read_text()
        core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["0", "0"]

    def test_the_volume_is_measured(self, guest: Machine, manager: MariaDBManager) -> None:
        stats = manager.get_filesystem_stats(CONTEXT)
        there = os.statvfs(guest.volume)
        assert stats.total_blocks * stats.block_size == there.f_blocks * there.f_frsize
        assert stats.mgr_extra_info == {"data_directory": f"{guest.volume}/data"}


def test_everything_of_one_message_is_done_in_order() -> None:
    with machine() as made:
        manager = made.manager()
        prepare(
            manager,
            databases=[Database("appdb", "utf8mb4", "utf8mb4_general_ci"), Database("plain")],
            users=[user("app", databases=("appdb",)), user("u2")],
            root_password="from the start",
            overrides={"max_connections": 77},
            modules=[ModuleEnvelope(Module("m1", "hello", "ping", contents="bWVzc2FnZT1oZWxsbw=="))],
        )
        assert [database.name for database in manager.list_databases(CONTEXT)[0]] == ["appdb", "plain"]
        assert [one.name for one in manager.list_users(CONTEXT)[0]] == ["app", "u2"]
        assert made.ask("app", "Wee/sleekit 1", "SELECT @@max_connections", database="appdb") == ((77,),)
        assert made.ask("root", "from the start", "SELECT 1") == ((1,),)
        assert [(module.name, module.status, module.message) for module in manager.module_list(CONTEXT)] == [
            ("hello", "OK", "hello")
        ]


def test_the_instance_is_healthy_even_where_its_contents_fail() -> None:
    with machine() as made:
        manager = made.manager()
        with pytest.raises(InvalidValue):
            prepare(manager, databases=[Database("mysql")], users=[user("app")])
        assert made.reports[-1] is ServiceStatus.HEALTHY
        assert [one.name for one in manager.list_users(CONTEXT)[0]] == ["app"]


def test_what_this_server_does_not_know_is_left_out_and_told(caplog: pytest.LogCaptureFixture) -> None:
    odd = FLAVOUR + (
        "\n[mysqld]\ndefault_authentication_plugin = caching_sha2_password\ninnodb_klingon = 1\nmax_conn = 5\n"
        "binlog_cache_size = lots\nsql_mode = KLINGON\nskip-klingon\nhelp\nuser = nobody\n"
        "[mysqld-5.7]\nklingon = 1\n[mariadb]\njoin_buffer_size = 256K\n"
    )
    with machine() as made, caplog.at_level(logging.WARNING):
        manager = made.manager()
        prepare(manager, config_contents=odd)
        assert variable(manager, "join_buffer_size") == 256 << 10
    for name in ("innodb_klingon", "max_conn", "binlog_cache_size", "sql_mode", "skip-klingon", "help", "user"):
        assert any(name in record.getMessage() for record in caplog.records), name


@pytest.mark.parametrize("contents", [None, ""])
def test_without_a_flavour_the_server_has_its_own_defaults(contents: str | None) -> None:
    with machine() as made:
        manager = made.manager()
        prepare(manager, config_contents=contents)
        assert manager.service_status() is ServiceStatus.HEALTHY


@pytest.mark.parametrize(
    "wrong",
    [
        {"config_contents": "[mysqld]\ncharacter_set_server = klingon\n"},
        {"overrides": {"max_connections": "many"}},
        {"overrides": {"klingon": 1}},
    ],
)
def test_a_configuration_that_cannot_be_fails_the_instance(wrong: dict[str, object]) -> None:
    with machine() as made:
        manager = made.manager()
        with pytest.raises(InvalidValue):
            prepare(manager, **wrong)
        assert made.reports == [ServiceStatus.BUILDING, ServiceStatus.FAILED]
        assert manager.guest.record.current.phase is Phase.FAILED
        assert not (made.volume / "data").exists()


@pytest.mark.parametrize("given", ["backup_info", "snapshot", "cluster_config"])
def test_an_instance_that_should_hold_data_does_not_come_up_empty(given: str) -> None:
    with machine() as made:
        with pytest.raises(NotSupported):
            prepare(made.manager(), **{given: {"id": "1"}})
        assert made.reports[-1] is ServiceStatus.FAILED
        assert not (made.volume / "data").exists()


def test_prepare_can_be_repeated_after_every_step() -> None:
    """A plan is broken off after each of its steps in turn, and the next attempt goes through all of them."""
    with machine() as made:
        steps = len(made.manager().prepare_steps(Preparation()))
        for number in range(1, steps + 1):
            with pytest.raises(_PowerCutError):
                prepare(_failing_after(made.manager(), number))
        manager = made.manager()
        prepare(manager)
        assert manager.service_status() is ServiceStatus.HEALTHY
        assert manager.guest.record.current.wanted is Wanted.RUNNING
        assert not list(made.directory.rglob("*.sql"))


def test_an_initialisation_that_was_cut_off_is_begun_anew() -> None:
    with machine() as made:
        half = made.volume / ".data-unfinished"
        (half / "mysql").mkdir(parents=True)
        (half / "ibdata1").write_bytes(b"half")
        manager = made.manager()
        prepare(manager)
        assert manager.service_status() is ServiceStatus.HEALTHY
        assert not half.exists()


def test_data_that_are_there_are_never_erased() -> None:
    with machine() as made:
        manager = made.manager()
        prepare(manager, databases=[Database("precious")])
        manager.stop_db(CONTEXT)
        manager.guest.record.change(phase=Phase.FAILED)
        prepare(manager)
        assert [database.name for database in manager.list_databases(CONTEXT)[0]] == ["precious"]


def test_a_server_that_ends_at_once_is_reported_in_its_own_words() -> None:
    with machine() as made:
        manager = made.manager()
        with pytest.raises(DatastoreError, match="Address already in use"), blocked_port(made.port):
            prepare(manager)
        assert made.reports[-1] is ServiceStatus.FAILED


class _PowerCutError(Exception):
    """Stands for the end of the agent."""


class _CutShort(OperationQueue):
    """Comes to the end of so many steps of a plan, and no further."""

    def __init__(self, guest: Guest, steps: int) -> None:
        super().__init__(lambda: PATIENCE, Journal(Store(guest.state_dir), Vault(guest.state_dir), lambda: 1))
        self._steps = steps

    def carry_out(self, plan: Plan) -> None:
        for step in plan.steps[: self._steps]:
            step.do()
        raise _PowerCutError


def _failing_after(manager: MariaDBManager, steps: int) -> MariaDBManager:
    manager.guest = msgspec.structs.replace(manager.guest, operations=_CutShort(manager.guest, steps))
    return manager
