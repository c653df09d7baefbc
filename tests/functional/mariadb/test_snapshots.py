"""Holding a real server still for a snapshot, and never for longer than somebody needs."""

import pymysql
import pytest

from guestagent.capabilities.snapshots import LetGoEarlier
from guestagent.conformance.poll import eventually
from guestagent.contract.databases import Database
from tests.functional.mariadb.machine import Machine, machine, prepare
from tests.support.machine import CONTEXT, PASSWORD, user


def can_write(made: Machine, within: int = 1) -> bool:
    """Whether a client's write ends within some seconds."""
    try:
        made.ask("app", PASSWORD, "INSERT INTO held.t VALUES (1)", read_timeout=within)
    except pymysql.OperationalError:
        return False
    return True


@pytest.fixture(scope="module")
def held(guest: Machine) -> Machine:
    manager = guest.manager()
    manager.create_database(CONTEXT, [Database("held")])
    manager.create_user(CONTEXT, [user("app", PASSWORD, databases=("held",))])
    guest.ask("app", PASSWORD, "CREATE TABLE held.t (n INT)")
    return guest


def test_nobody_writes_until_the_snapshot_is_done(held: Machine) -> None:
    manager = held.manager()
    assert "gtid" in manager.pre_create_backup(CONTEXT)
    assert not can_write(held)
    # Reading goes on, and so does the agent's own.
    assert held.ask("app", PASSWORD, "SELECT COUNT(*) >= 0 FROM held.t") == ((1,),)
    assert manager.list_databases(CONTEXT)[0]
    assert manager.post_create_backup(CONTEXT) == {}
    assert can_write(held, within=10)
    assert manager.post_create_backup(CONTEXT) == {}


def test_a_snapshot_that_nobody_ends_is_ended_by_a_guard_and_said_to_be_of_no_use(held: Machine) -> None:
    held.conf.set_override("freeze_limit", 1, "backup")
    try:
        manager = held.manager()
        manager.pre_create_backup(CONTEXT)
        eventually(lambda: can_write(held), timeout=20)
        with pytest.raises(LetGoEarlier):
            manager.post_create_backup(CONTEXT)
        assert manager.post_create_backup(CONTEXT) == {}
    finally:
        held.conf.clear_override("freeze_limit", "backup")


def test_a_second_request_holds_anew(held: Machine) -> None:
    manager = held.manager()
    manager.pre_create_backup(CONTEXT)
    manager.pre_create_backup(CONTEXT)
    assert not can_write(held)
    manager.post_create_backup(CONTEXT)
    assert can_write(held, within=10)


def test_an_instance_that_is_stopped_holds_nothing() -> None:
    with machine() as made:
        manager = made.manager()
        prepare(manager)
        manager.pre_create_backup(CONTEXT)
        manager.stop_db(CONTEXT)
        assert manager.post_create_backup(CONTEXT) == {}
