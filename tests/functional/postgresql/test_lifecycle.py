"""Starts, stops and statuses of a real server, also when the agent or the server dies on the way."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from guestagent_postgresql.manager import PostgreSQLManager
from pg8000.exceptions import DatabaseError

from guestagent.conformance.poll import eventually
from guestagent.contract.databases import Database
from guestagent.contract.errors import DatastoreDown
from guestagent.contract.states import ServiceStatus
from guestagent.contract.users import User
from guestagent.system import volume
from tests.functional.postgresql.machine import Machine
from tests.support.machine import CONTEXT, PASSWORD, user


@pytest.fixture(autouse=True)
def running(guest: Machine, manager: PostgreSQLManager) -> Iterator[None]:
    """Every test begins and ends with a server that runs and takes writes."""
    guest.reports.clear()
    yield
    if manager.service_status() is not ServiceStatus.HEALTHY:
        manager.restart(CONTEXT)
    manager.make_read_only(CONTEXT, False)


def pid(guest: Machine, manager: PostgreSQLManager) -> int:
    found = guest.processes.pid(manager.service())
    assert found is not None
    return found


def kill(guest: Machine, manager: PostgreSQLManager) -> None:
    victim = pid(guest, manager)
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: guest.processes.pid(manager.service()) is None, message="the server survived")


def test_clients_do_not_keep_a_server_from_stopping(guest: Machine, manager: PostgreSQLManager) -> None:
    manager.create_user(CONTEXT, [user("idler")])
    idler = guest.log_in("idler", PASSWORD)
    idler.run("BEGIN")
    begun = time.monotonic()
    manager.restart(CONTEXT)
    assert time.monotonic() - begun < guest.conf.agent.server_stop_timeout / 2
    manager.delete_user(CONTEXT, User("idler"))


def test_an_agent_that_starts_after_a_power_cut_starts_the_server(guest: Machine, manager: PostgreSQLManager) -> None:
    manager.create_user(CONTEXT, [user("busy")])
    busy = guest.log_in("busy", PASSWORD)
    busy.run("BEGIN")
    kill(guest, manager)
    again = guest.manager()
    assert again.service_status() is ServiceStatus.CRASHED
    again.ensure_running()
    assert again.service_status() is ServiceStatus.HEALTHY
    again.delete_user(CONTEXT, User("busy"))


def test_the_directories_of_a_tmpfs_are_made_again_after_a_reboot(guest: Machine, manager: PostgreSQLManager) -> None:
    manager.stop_server()
    for left in manager.layout.socket_dir.iterdir():
        left.unlink()
    manager.layout.socket_dir.rmdir()
    guest.manager().ensure_running()
    assert manager.service_status() is ServiceStatus.HEALTHY


def test_log_that_nobody_archives_any_more_is_let_go(guest: Machine, manager: PostgreSQLManager) -> None:
    for name in ("guestagent_archive", "of_somebody_else"):
        manager.connections.execute("Holding", f"SELECT pg_create_physical_replication_slot('{name}', true)")
    guest.manager().ensure_running()
    held = manager.connections.fetch("Looking", "SELECT slot_name FROM pg_replication_slots")
    assert held == [["of_somebody_else"]]
    manager.connections.execute("Letting go", "SELECT pg_drop_replication_slot('of_somebody_else')")


def test_log_that_nobody_looks_after_is_bounded_by_the_server(guest: Machine, manager: PostgreSQLManager) -> None:
    most = volume.at_most_a_quarter(guest.conf.backup.archive_keep_bytes, manager.layout.mount_point) >> 20
    bound = "SELECT setting, unit FROM pg_settings WHERE name = 'max_slot_wal_keep_size'"
    manager.restart(CONTEXT)
    assert manager.connections.fetch("Looking", bound) == [["-1", "MB"]]
    guest.archive_strategies = ("postgresql_wal",)
    try:
        asked = guest.manager()
        asked.restart(CONTEXT)
        assert asked.connections.fetch("Looking", bound) == [[f"{most}", "MB"]]
        guest.conf.set_override("archive_interval", 60, "backup")
        asked.restart(CONTEXT)
        assert asked.connections.fetch("Looking", bound) == [["-1", "MB"]]
        guest.conf.set_override("archive_at_limit", "drop", "backup")
        asked.restart(CONTEXT)
        [[kept, _unit]] = asked.connections.fetch("Looking", bound)
        assert int(kept) // 2 == most, "an agent that lives drops first"
        asked.connections.close()
    finally:
        guest.conf.clear_override("archive_interval", "backup")
        guest.conf.clear_override("archive_at_limit", "backup")
        guest.archive_strategies = ()
    manager.restart(CONTEXT)


def test_connections_outlive_a_restart_of_the_server(guest: Machine, manager: PostgreSQLManager) -> None:
    manager.list_users(CONTEXT)
    guest.manager().restart(CONTEXT)
    assert manager.list_users(CONTEXT) == ([], None)
    assert manager.service_status() is ServiceStatus.HEALTHY


def test_the_agent_gets_in_when_users_hold_every_connection(guest: Machine, manager: PostgreSQLManager) -> None:
    manager.create_user(CONTEXT, [user("crowd")])
    manager.update_overrides(CONTEXT, {"max_connections": 8, "max_wal_senders": 2})
    manager.restart(CONTEXT)
    crowd: list[Any] = []
    try:
        with contextlib.suppress(DatabaseError):
            while True:
                crowd.append(guest.log_in("crowd", PASSWORD))
        assert 0 < len(crowd) <= 8
        assert guest.manager().service_status() is ServiceStatus.HEALTHY
        assert manager.get_user(CONTEXT, "crowd") is not None
    finally:
        for connection in crowd:
            connection.close()
        manager.update_overrides(CONTEXT, {})
        manager.restart(CONTEXT)
    manager.delete_user(CONTEXT, User("crowd"))


def test_a_statement_that_waits_too_long_is_given_up_with_the_reason(
    guest: Machine, manager: PostgreSQLManager
) -> None:
    manager.create_user(CONTEXT, [user("holder")])
    guest.conf.set_override("statement_timeout", 1, "postgresql")
    hurried = guest.manager()
    try:
        with manager.connections.session("Holding") as ask:
            ask("BEGIN")
            ask("LOCK TABLE pg_auth_members")
            with pytest.raises(DatastoreDown, match="within 1 s"):
                hurried.list_users(CONTEXT)
            ask("ROLLBACK")
    finally:
        guest.conf.clear_override("statement_timeout", "postgresql")
    manager.delete_user(CONTEXT, User("holder"))


def test_writes_of_users_are_refused_over_restarts_until_it_is_lifted(
    guest: Machine, manager: PostgreSQLManager
) -> None:
    manager.create_database(CONTEXT, [Database("written")])
    manager.create_user(CONTEXT, [user("writer", databases=("written",))])
    connected = guest.log_in("writer", PASSWORD, "written")

    def writes(connection: Any) -> bool:
        try:
            connection.run("CREATE TABLE t (a INT); DROP TABLE t")
        except DatabaseError as error:
            if "read-only transaction" not in str(error):
                raise
            return False
        return True

    assert writes(connected)
    for _ in range(2):
        manager.make_read_only(CONTEXT, True)
    eventually(lambda: not writes(connected), message="an old session still writes")
    manager.create_user(CONTEXT, [user("meanwhile")])
    manager.delete_user(CONTEXT, User("meanwhile"))
    assert manager.guest.record.current.read_only
    guest.manager().restart(CONTEXT)
    assert not writes(guest.log_in("writer", PASSWORD, "written"))
    guest.manager().make_read_only(CONTEXT, False)
    assert writes(guest.log_in("writer", PASSWORD, "written"))
    manager.delete_user(CONTEXT, User("writer"))
    manager.delete_database(CONTEXT, Database("written"))
