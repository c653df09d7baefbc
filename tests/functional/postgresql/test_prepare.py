"""From an empty directory to a running server, and what happens when that is interrupted or repeated."""

import os
import stat
from pathlib import Path

import pytest
from guestagent_postgresql.manager import PostgreSQLManager
from pg8000.exceptions import DatabaseError

from guestagent.contract.databases import Database
from guestagent.contract.errors import DatastoreError, InvalidValue, NotSupported
from guestagent.contract.modules import Module, ModuleEnvelope
from guestagent.contract.states import Phase, ServiceStatus
from guestagent.system import command
from tests.functional.postgresql.machine import FLAVOUR, Machine, machine, prepare, shown
from tests.support.machine import CONTEXT, PASSWORD, user


class TestPrepared:
    """What the control plane's first message leaves behind."""

    def test_the_flavour_is_obeyed_where_it_can_be(self, manager: PostgreSQLManager) -> None:
        assert shown(manager, "shared_buffers") == "51MB"
        assert shown(manager, "max_wal_size") == "1GB"
        assert shown(manager, "wal_level") == "replica"

    def test_the_agent_has_its_way_where_it_must(self, guest: Machine, manager: PostgreSQLManager) -> None:
        assert shown(manager, "port") == str(guest.port)
        assert shown(manager, "data_directory") == f"{guest.volume}/data"
        # The control plane's template archives into a directory that nobody empties.
        assert shown(manager, "archive_mode") == "off"
        assert shown(manager, "data_checksums") == "on"
        assert shown(manager, "password_encryption") == "scram-sha-256"
        assert shown(manager, "server_encoding") == "UTF8"

    def test_nobody_enters_but_the_agent(self, guest: Machine, manager: PostgreSQLManager) -> None:
        found = manager.connections.fetch("Looking", "SELECT rolname FROM pg_roles WHERE rolcanlogin ORDER BY 1")
        assert found == [["guestagent"], ["postgres"]]
        for name in ("postgres", "guestagent", "anybody"):
            with pytest.raises(DatabaseError, match=r"password authentication failed|pg_hba.conf rejects"):
                guest.log_in(name, "")
        assert manager.list_databases(CONTEXT) == ([], None)

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
    def test_on_the_guest_only_root_and_the_servers_account_enter(
        self, guest: Machine, manager: PostgreSQLManager
    ) -> None:
        program = manager.programs.path(15, "psql")
        for account, name, enters in (
            ("root", "postgres", True),
            ("postgres", "postgres", True),
            ("nobody", "postgres", False),
            ("nobody", "guestagent", False),
        ):
            client = [
                program,
                "-X",
                "-w",
                f"-U{name}",
                f"-h{manager.layout.socket_dir}",
                f"-p{guest.port}",
                "-dpostgres",
            ]
            done = command.run([*client, "-cSELECT 1"], timeout=30, user=account, accept=range(3))
            assert (done.code == 0) is enters, (account, name, done.stderr)

    def test_the_data_are_for_the_servers_account_only(self, guest: Machine) -> None:
        assert stat.S_IMODE((guest.volume / "data").stat().st_mode) == 0o700

    def test_the_server_cannot_put_links_in_the_agents_way(self, guest: Machine) -> None:
        assert guest.volume.stat().st_uid == os.geteuid()
        assert not guest.volume.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)

    def test_the_configuration_is_for_the_server_to_read_and_not_to_write(self, guest: Machine) -> None:
        for path in (found := Path(guest.conf.postgresql.config_dir)), *found.rglob("*"):
            assert path.stat().st_uid == os.geteuid(), path
            assert not path.stat().st_mode & (stat.S_IRWXO | stat.S_IWGRP), path

    def test_the_volume_and_the_log_of_writes_are_measured(self, guest: Machine, manager: PostgreSQLManager) -> None:
        stats = manager.get_filesystem_stats(CONTEXT)
        there = os.statvfs(guest.volume)
        assert stats.total_blocks * stats.block_size == there.f_blocks * there.f_frsize
        assert stats.mgr_extra_info["data_directory"] == f"{guest.volume}/data"
        assert stats.mgr_extra_info["wal_size"] >= 16 << 20


def test_everything_of_one_message_is_done_in_order() -> None:
    with machine() as made:
        manager = made.manager()
        prepare(
            manager,
            databases=[Database("appdb", "UTF8", "C.UTF-8"), Database("plain")],
            users=[user("app", host="%", databases=("appdb",)), user("u2")],
            root_password="from the start",
            overrides={"work_mem": "7MB"},
            modules=[ModuleEnvelope(Module("m1", "hello", "ping", contents="bWVzc2FnZT1oZWxsbw=="))],
        )
        assert [database.name for database in manager.list_databases(CONTEXT)[0]] == ["appdb", "plain"]
        assert [one.name for one in manager.list_users(CONTEXT)[0]] == ["app", "u2"]
        assert made.ask("app", PASSWORD, "SHOW work_mem", "appdb") == [["7MB"]]
        assert made.ask("postgres", "from the start", "SELECT 1") == [[1]]
        assert [(module.name, module.status, module.message) for module in manager.module_list(CONTEXT)] == [
            ("hello", "OK", "hello")
        ]


def test_what_this_server_does_not_know_is_left_out_and_told(caplog: pytest.LogCaptureFixture) -> None:
    with machine() as made:
        odd = f"{FLAVOUR}klingon = 1\nWORK_MEM 17MB # so many\nlc_time = 'tlh_QO'\nvacuum_cost_delay = '1' 2\n"
        with pytest.raises(InvalidValue):
            # The instance is healthy even where its contents fail.
            prepare(made.manager(), config_contents=odd, databases=[Database("postgres")], users=[user("app")])
        assert made.reports[-1] is ServiceStatus.HEALTHY
        manager = made.manager()
        assert shown(manager, "work_mem") == "17MB"
        assert [one.name for one in manager.list_users(CONTEXT)[0]] == ["app"]
        for left_out in ("klingon = 1", "lc_time", "archive_command"):
            assert left_out in caplog.text
            assert left_out not in manager.configuration.read("base")


@pytest.mark.parametrize("overrides", [{"klingon": 1}, {"port": 1}, {"max_connections": "many"}])
def test_overrides_that_cannot_be_fail_the_instance(overrides: dict[str, object]) -> None:
    with machine() as made:
        with pytest.raises(InvalidValue):
            prepare(made.manager(), overrides=overrides)
        assert made.reports[-1] is ServiceStatus.FAILED
        assert not (made.volume / "data").exists()


def test_a_failed_prepare_leaves_nothing_and_can_be_asked_again() -> None:
    with machine(locale="tlh_QO.UTF-8") as made:
        with pytest.raises(DatastoreError, match="locale"):
            prepare(made.manager())
        assert made.manager().guest.record.current.phase is Phase.FAILED
        assert list(made.volume.iterdir()) == []
        made.conf.set_override("locale", "C.UTF-8", "postgresql")
        prepare(made.manager())
        assert made.manager().reported_status() is ServiceStatus.HEALTHY


@pytest.mark.parametrize("asked", [{"snapshot": {"a": 1}}, {"cluster_config": {"a": 1}}, {"backup_info": {"id": "x"}}])
def test_what_should_hold_data_never_comes_up_empty(asked: dict[str, object]) -> None:
    with machine() as made:
        with pytest.raises(NotSupported):
            prepare(made.manager(), **asked)
        assert made.reports[-1] is ServiceStatus.FAILED
        assert not (made.volume / "data").exists()
