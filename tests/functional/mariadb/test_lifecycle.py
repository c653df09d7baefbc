"""Starts, stops and statuses of a real server, also when the agent or the server dies on the way."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pymysql
import pytest
from guestagent_mariadb.manager import MariaDBManager

from guestagent.conformance.poll import eventually
from guestagent.contract.databases import Database
from guestagent.contract.errors import DatastoreDown, GuestAgentError
from guestagent.contract.states import ServiceStatus
from guestagent.contract.users import User
from tests.functional.mariadb.machine import CONTEXT, Machine, user

READ_ONLY = 1290


@pytest.fixture(autouse=True)
def running(guest: Machine, manager: MariaDBManager) -> Iterator[None]:
    """Every test begins and ends with a server that runs and takes writes."""
    guest.reports.clear()
    yield
    manager.restart(CONTEXT)
    manager.make_read_only(CONTEXT, False)


def pid(guest: Machine, manager: MariaDBManager) -> int:
    found = guest.processes.pid(manager.service())
    assert found is not None
    return found


def test_the_directories_of_a_tmpfs_are_made_again_after_a_reboot(guest: Machine, manager: MariaDBManager) -> None:
    manager.stop_server()
    for left in manager.layout.socket.parent.iterdir():
        left.unlink()
    manager.layout.socket.parent.rmdir()
    guest.manager().ensure_running()
    assert manager.service_status() is ServiceStatus.HEALTHY


def test_a_server_that_does_not_answer_is_blocked_and_asked_briefly(guest: Machine, manager: MariaDBManager) -> None:
    guest.conf.set_override("probe_timeout", 1, "mariadb")
    frozen = pid(guest, manager)
    fresh, connected = guest.manager(), manager
    assert connected.service_status() is ServiceStatus.HEALTHY
    os.kill(frozen, signal.SIGSTOP)
    try:
        for one in (fresh, connected):
            asked = time.monotonic()
            assert one.service_status() is ServiceStatus.BLOCKED
            assert time.monotonic() - asked < 4
    finally:
        os.kill(frozen, signal.SIGCONT)
        guest.conf.clear_override("probe_timeout", "mariadb")
    eventually(lambda: fresh.service_status() is ServiceStatus.HEALTHY, message="the server stayed blocked")


def test_a_server_that_is_down_is_said_to_be_down(manager: MariaDBManager) -> None:
    manager.stop_db(CONTEXT)
    for ask in (
        lambda: manager.list_users(CONTEXT),
        lambda: manager.create_user(CONTEXT, [user("late")]),
        lambda: manager.create_database(CONTEXT, [Database("late")]),
        lambda: manager.enable_root(CONTEXT),
        lambda: manager.make_read_only(CONTEXT, True),
        lambda: manager.apply_overrides(CONTEXT, {"max_connections": 10}),
        lambda: manager.ssl_show(CONTEXT),
        lambda: manager.pre_upgrade(CONTEXT),
    ):
        with pytest.raises(DatastoreDown):
            ask()
    assert manager.get_filesystem_stats(CONTEXT).total_blocks > 0


def test_connections_outlive_a_restart_of_the_server(guest: Machine, manager: MariaDBManager) -> None:
    manager.list_users(CONTEXT)
    guest.manager().restart(CONTEXT)
    assert manager.list_users(CONTEXT) == ([], None)
    assert manager.service_status() is ServiceStatus.HEALTHY


def test_the_agent_gets_in_when_users_hold_every_connection(guest: Machine, manager: MariaDBManager) -> None:
    manager.create_user(CONTEXT, [user("crowd")])
    manager.connections.execute("Narrowing", "SET GLOBAL max_connections = 10")
    crowd: list[Any] = []
    try:
        with contextlib.suppress(pymysql.err.OperationalError):
            while True:
                crowd.append(guest.log_in("crowd", "Wee/sleekit 1"))
        assert 0 < len(crowd) <= 10
        assert guest.manager().service_status() is ServiceStatus.HEALTHY
        assert manager.get_user(CONTEXT, "crowd") is not None
    finally:
        for connection in crowd:
            connection.close()
        manager.delete_user(CONTEXT, User("crowd"))


def test_a_statement_that_waits_too_long_is_given_up_with_the_reason(guest: Machine, manager: MariaDBManager) -> None:
    manager.create_database(CONTEXT, [Database("held")])
    manager.create_user(CONTEXT, [user("holder", databases=("held",))])
    guest.conf.set_override("statement_timeout", 1, "mariadb")
    hurried = guest.manager()
    try:
        with guest.log_in("holder", "Wee/sleekit 1", database="held", autocommit=False) as holder:
            with holder.cursor() as cursor:
                cursor.execute("CREATE TABLE t (a INT)")
                cursor.execute("SELECT * FROM t")
            with pytest.raises(DatastoreDown, match="within 1 s"):
                hurried.delete_database(CONTEXT, Database("held"))
            assert hurried.service_status() is ServiceStatus.HEALTHY
    finally:
        guest.conf.clear_override("statement_timeout", "mariadb")
    with pytest.raises(GuestAgentError):
        # Given up by the agent, it is carried out by the server as soon as it can be.
        eventually(lambda: manager.delete_database(CONTEXT, Database("held")), timeout=5)
    manager.delete_user(CONTEXT, User("holder"))


class TestReadOnly:
    """Writes of ordinary users, refused and accepted again."""

    @pytest.fixture(autouse=True)
    def writer(self, manager: MariaDBManager) -> Iterator[None]:
        manager.create_database(CONTEXT, [Database("written")])
        manager.create_user(CONTEXT, [user("writer", databases=("written",))])
        yield
        manager.delete_user(CONTEXT, User("writer"))
        manager.delete_database(CONTEXT, Database("written"))

    def writes(self, guest: Machine) -> bool:
        try:
            guest.ask("writer", "Wee/sleekit 1", "CREATE OR REPLACE TABLE written.t (a INT)")
        except pymysql.err.OperationalError as error:
            if error.args[0] != READ_ONLY:
                raise
            return False
        return True

    def test_it_holds_over_restarts_until_it_is_lifted(self, guest: Machine, manager: MariaDBManager) -> None:
        assert self.writes(guest)
        for _ in range(2):
            manager.make_read_only(CONTEXT, True)
        assert not self.writes(guest)
        assert manager.guest.record.current.read_only
        guest.manager().restart(CONTEXT)
        assert not self.writes(guest)
        guest.manager().make_read_only(CONTEXT, False)
        assert self.writes(guest)
        guest.manager().restart(CONTEXT)
        assert self.writes(guest)

    def test_the_agent_goes_on_managing(self, manager: MariaDBManager) -> None:
        manager.make_read_only(CONTEXT, True)
        manager.create_user(CONTEXT, [user("meanwhile")])
        manager.delete_user(CONTEXT, User("meanwhile"))
