"""From an empty directory to a running server, and what happens when that is interrupted or repeated."""

import logging
import os
import stat
from pathlib import Path

import msgspec
import pytest
from guestagent_redis.manager import RedisManager
from guestagent_redis.resp import Refused

from guestagent.conformance.ports import blocked_port
from guestagent.contract.databases import Database
from guestagent.contract.errors import DatastoreError, InvalidValue, NotSupported
from guestagent.contract.states import Phase, ServiceStatus
from guestagent.contract.users import User
from guestagent.system import files
from tests.functional.redis.machine import FLAVOUR, Machine, machine, prepare
from tests.support.machine import CONTEXT, PASSWORD, user


class TestPrepared:
    """What the control plane's first message leaves behind."""

    def test_the_flavour_is_obeyed_where_it_can_be(self, manager: RedisManager) -> None:
        found = manager.client.settings("maxmemory", "save", "maxclients", "appendonly", "tcp-backlog")
        assert found == {
            "maxmemory": str(192 << 20),
            "save": "900 1 300 10",
            "maxclients": "100",
            "appendonly": "no",
            "tcp-backlog": "511",
        }

    def test_the_agent_has_its_way_where_it_must(self, guest: Machine, manager: RedisManager) -> None:
        found = manager.client.settings("port", "dir", "daemonize", "logfile", "enable-debug-command", "bind")
        assert found == {
            "port": str(guest.port),
            "dir": f"{guest.volume}/data",
            "daemonize": "no",
            "logfile": "",
            "enable-debug-command": "no",
            "bind": "127.0.0.1",
        }

    def test_what_the_flavour_does_not_say_follows_from_the_memory(self, manager: RedisManager) -> None:
        assert manager.client.settings("auto-aof-rewrite-min-size", "appendfsync") == {
            "auto-aof-rewrite-min-size": str(64 << 20),
            "appendfsync": "everysec",
        }

    def test_nobody_enters_but_the_agent(self, guest: Machine, manager: RedisManager) -> None:
        for name, password in (("default", ""), ("", ""), ("", "from-the-template"), ("guestagent", "")):
            assert not guest.enters(name, password)
        with pytest.raises(Refused, match="NOAUTH"), guest.connected() as client:
            client("PING")
        assert manager.list_users(CONTEXT) == ([], None)

    def test_the_data_are_for_the_servers_account_only(self, guest: Machine) -> None:
        assert stat.S_IMODE((guest.volume / "data").stat().st_mode) == 0o700
        assert stat.S_IMODE((guest.directory / "run" / "server.sock").stat().st_mode) == 0o700

    def test_the_server_cannot_put_links_in_the_agents_way(self, guest: Machine) -> None:
        assert guest.volume.stat().st_uid == os.geteuid()
        assert not guest.volume.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)

    def test_the_configuration_is_for_the_server_to_read_and_not_to_write(self, guest: Machine) -> None:
        for path in (found := guest.directory / "config"), *found.rglob("*"):
            assert path.stat().st_uid == os.geteuid(), path
            assert not path.stat().st_mode & (stat.S_IRWXO | stat.S_IWGRP), path


def test_everything_of_one_message_is_done(datastore: str) -> None:
    with machine(datastore=datastore) as made:
        manager = made.manager()
        prepare(manager, users=[user("app")], root_password="from the start", overrides={"maxclients": 77})
        assert made.ask("app", PASSWORD, "SET", "key", "value") == "OK"
        assert made.ask("", "from the start", "CONFIG", "GET", "maxclients") == ["maxclients", "77"]
        assert made.ask("default", "from the start", "DBSIZE") == 1


def test_the_instance_is_healthy_even_where_its_contents_fail(datastore: str) -> None:
    with machine(datastore=datastore) as made:
        with pytest.raises(NotSupported, match="create_database"):
            prepare(made.manager(), databases=[Database("shop")], users=[user("app")])
        assert made.reports[-1] is ServiceStatus.HEALTHY
        assert made.enters("app", PASSWORD)


def test_what_this_server_does_not_know_is_left_out_and_told_without_its_value(
    datastore: str, caplog: pytest.LogCaptureFixture
) -> None:
    odd = FLAVOUR + 'hz many\nmaxmemory-policy banana\nrename-command CONFIG ""\nloadmodule /tmp/x.so\nsave "1 x"\n'
    with machine(datastore=datastore) as made, caplog.at_level(logging.WARNING):
        manager = made.manager()
        prepare(manager, config_contents=odd)
        assert manager.client.settings("save", "maxmemory-policy") == {
            "save": "900 1 300 10",
            "maxmemory-policy": "noeviction",
        }
    told = [record.getMessage() for record in caplog.records]
    for name in ("hz", "maxmemory-policy", "rename-command", "loadmodule", "requirepass", "list-max-klingon-entries"):
        assert any(f"'{name}'" in message for message in told), name
    assert not any("from-the-template" in message for message in told)


@pytest.mark.parametrize(("memory_mb", "maxmemory"), [(1000, 600 << 20), (None, None)])
def test_without_a_flavour_the_memory_decides(datastore: str, memory_mb: int | None, maxmemory: int | None) -> None:
    with machine(datastore=datastore) as made:
        manager = made.manager()
        prepare(manager, config_contents=None, memory_mb=memory_mb)
        found = manager.client.settings("maxmemory", "appendonly")
        machine_memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
        assert int(found["maxmemory"]) == (maxmemory or machine_memory * 60 // 100 << 20)
        assert found["appendonly"] == "yes"


@pytest.mark.parametrize("wrong", [{"maxclients": "many"}, {"klingon": 1}, {"requirepass": "x"}])
def test_a_configuration_that_cannot_be_fails_the_instance(datastore: str, wrong: dict[str, object]) -> None:
    with machine(datastore=datastore) as made:
        manager = made.manager()
        with pytest.raises(InvalidValue):
            prepare(manager, overrides=wrong)
        assert made.reports == [ServiceStatus.BUILDING, ServiceStatus.FAILED]
        assert manager.guest.record.current.phase is Phase.FAILED
        assert not (made.volume / "data").exists()


@pytest.mark.parametrize("given", ["backup_info", "snapshot", "cluster_config"])
def test_an_instance_that_should_hold_data_does_not_come_up_empty(datastore: str, given: str) -> None:
    with machine(datastore=datastore) as made:
        with pytest.raises(NotSupported):
            prepare(made.manager(), **{given: {"id": "1"}})
        assert made.reports[-1] is ServiceStatus.FAILED
        assert not (made.volume / "data").exists()


def test_data_that_are_there_are_never_erased(datastore: str) -> None:
    with machine(datastore=datastore) as made:
        manager = made.manager()
        prepare(manager, users=[user("keeper")])
        made.ask("keeper", PASSWORD, "SET", "precious", "1")
        manager.stop_db(CONTEXT)
        manager.guest.record.change(phase=Phase.FAILED)
        prepare(manager)
        assert made.ask("keeper", PASSWORD, "GET", "precious") == "1"


def test_a_server_that_ends_at_once_is_reported_in_its_own_words(datastore: str) -> None:
    with machine(datastore=datastore) as made:
        with pytest.raises(DatastoreError, match="ddress already in use"), blocked_port(made.port):
            prepare(made.manager())
        assert made.reports[-1] is ServiceStatus.FAILED


class TestClaim:
    """What a start makes of a file of users that somebody else has left."""

    @pytest.fixture
    def stopped(self, datastore: str) -> "Machine":  # type: ignore[misc]
        with machine(datastore=datastore) as made:
            prepare(made.manager(), users=[user("app")])
            made.manager().stop_db(CONTEXT)
            yield made

    def test_nobody_enters_without_a_password(self, stopped: Machine) -> None:
        path = stopped.volume / "data" / "users.acl"
        for text in ("user default on nopass ~* &* +@all\n", ""):
            files.write(path, text, mode=0o600, owner=stopped.account, group=stopped.account)
            stopped.manager().restart(CONTEXT)
            assert not stopped.enters("", "anything")
            with pytest.raises(Refused, match="NOAUTH"), stopped.connected() as client:
                client("PING")
            stopped.manager().stop_db(CONTEXT)

    def test_a_link_is_neither_read_nor_written_through(self, stopped: Machine, tmp_path: Path) -> None:
        path, other = stopped.volume / "data" / "users.acl", tmp_path / "shadow"
        other.write_text("user spy on nopass ~* +@all\n")
        path.unlink()
        path.symlink_to(other)
        manager = stopped.manager()
        manager.restart(CONTEXT)
        assert other.read_text() == "user spy on nopass ~* +@all\n"
        assert not path.is_symlink()
        assert manager.get_user(CONTEXT, "spy") is None
        assert manager.get_user(CONTEXT, "app") is None

    def test_the_agents_line_is_its_own(self, stopped: Machine) -> None:
        manager = stopped.manager()
        manager.administrator.renew()
        manager.restart(CONTEXT)
        assert manager.service_status() is ServiceStatus.HEALTHY
        assert stopped.enters("app", PASSWORD)
        manager.delete_user(CONTEXT, User("app"))


def test_a_record_that_is_lost_is_found_again(guest: Machine, manager: RedisManager) -> None:
    assert manager.recognise() == {"read_only": False, "tls_mode": None}
    manager.guest = msgspec.structs.replace(manager.guest, state_dir=guest.directory / "another")
    manager.administrator.credentials = guest.directory / "another"
    assert manager.recognise() is None
