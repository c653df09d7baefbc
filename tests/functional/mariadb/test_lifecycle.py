"""Starts, stops and statuses of a real server, also when the agent or the server dies on the way."""

import contextlib
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
from tests.functional.mariadb.machine import Machine
from tests.support.machine import CONTEXT, user

READ_ONLY = 1290


@pytest.fixture(autouse=True)
def running(guest: Machine, manager: MariaDBManager) -> Iterator[None]:
    """Every test begins and ends with a server that runs and takes writes."""
    guest.reports.clear()
    yield
    manager.restart(CONTEXT)
    manager.make_read_only(CONTEXT, False)


def test_the_directories_of_a_tmpfs_are_made_again_after_a_reboot(guest: Machine, manager: MariaDBManager) -> None:
    manager.stop_server()
    for left in manager.layout.socket.parent.iterdir():
        left.unlink()
    manager.layout.socket.parent.rmdir()
    guest.manager().ensure_running()
    assert manager.service_status() is ServiceStatus.HEALTHY


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
        # The one that was refused is in the administrator's place until it has left.
        guests = "SELECT count(*) FROM information_schema.processlist WHERE user IN ('crowd', 'unauthenticated user')"
        eventually(lambda: manager.connections.fetch("Counting", guests) == [(len(crowd),)])
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
            assert manager.service_status() is ServiceStatus.HEALTHY
    finally:
        guest.conf.clear_override("statement_timeout", "mariadb")
    with pytest.raises(GuestAgentError):
        # Given up by the agent, it is carried out by the server as soon as it can be.
        eventually(lambda: manager.delete_database(CONTEXT, Database("held")))
    manager.delete_user(CONTEXT, User("holder"))
