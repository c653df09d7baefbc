"""Databases of a real server: what may be created, who owns it, what is listed, and page by page."""

import pytest
from guestagent_postgresql.manager import PostgreSQLManager
from pg8000.exceptions import DatabaseError

from guestagent.contract.databases import Database
from guestagent.contract.errors import InvalidValue, NotFound
from guestagent.contract.users import User
from tests.functional.postgresql.machine import Machine
from tests.support.machine import CONTEXT, PASSWORD, user

HOSTILE = [
    "it's",
    'say "hi"',
    '"; DROP DATABASE postgres; --',
    "'; DROP DATABASE postgres; --",
    "per%cent",
    "colon:name",
    "back\\slash",
    "dollar $1 $$",
    " leading and trailing ",
    "a/b",
    "..",
    "数据库",
    "قاعدة",
    "e\u0301",
    "😀",
    "x" * 63,
    "owner_of_",
    "MixedCase",
    "mixedcase",
]
REFUSED = ["", "x" * 64, "名" * 22, "nul\0", "new\nline", "tab\t", "\ud800", "postgres", "template0", "template1"]


def names(manager: PostgreSQLManager) -> list[str]:
    return [database.name for database in manager.list_databases(CONTEXT)[0]]


def owners(manager: PostgreSQLManager) -> list[str]:
    rows = manager.connections.fetch("Looking", "SELECT rolname FROM pg_roles WHERE rolname ~ '^owner_of_' ORDER BY 1")
    return [name for (name,) in rows]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_a_name_whatever_it_looks_like(manager: PostgreSQLManager, name: str) -> None:
    before = names(manager)

    manager.create_database(CONTEXT, [Database(name)])
    assert sorted([*before, name], key=str.encode) == names(manager)

    manager.delete_database(CONTEXT, Database(name))
    assert names(manager) == before
    assert owners(manager) == []


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_the_server_cannot_have_is_refused(manager: PostgreSQLManager, name: str) -> None:
    before = names(manager)
    with pytest.raises(InvalidValue) as refused:
        manager.create_database(CONTEXT, [Database(name)])
    str(refused.value).encode()
    assert names(manager) == before


def test_an_encoding_and_a_locale_are_obeyed(manager: PostgreSQLManager) -> None:
    wanted = [
        Database("cs1"),
        Database("cs2", "LATIN1", "C"),
        Database("cs3", "UTF8", "C.UTF-8"),
        Database("cs4", "sql_ascii", "C"),
    ]
    manager.create_database(CONTEXT, wanted)
    listed = {database.name: database for database in manager.list_databases(CONTEXT)[0]}
    assert listed["cs1"] == Database("cs1", "UTF8", "C.UTF-8")
    assert listed["cs2"] == Database("cs2", "LATIN1", "C")
    assert listed["cs4"] == Database("cs4", "SQL_ASCII", "C")
    for database in wanted:
        manager.delete_database(CONTEXT, database)


@pytest.mark.parametrize(
    ("character_set", "collate"),
    [("klingon", None), (None, "tlh_QO'noS"), ("LATIN1", "C.UTF-8"), ("UTF8' LOCALE 'C'; --", None), ("nul\0", None)],
)
def test_an_encoding_or_locale_that_the_server_does_not_have_is_refused_and_leaves_nothing(
    manager: PostgreSQLManager, character_set: str | None, collate: str | None
) -> None:
    with pytest.raises(InvalidValue):
        manager.create_database(CONTEXT, [Database("odd", character_set, collate)])
    assert "odd" not in names(manager)
    assert owners(manager) == []


def test_dropping_what_is_not_there_says_so(manager: PostgreSQLManager) -> None:
    with pytest.raises(NotFound, match="'never'"):
        manager.delete_database(CONTEXT, Database("never"))
    with pytest.raises(InvalidValue):
        manager.delete_database(CONTEXT, Database("postgres"))


def test_a_database_is_dropped_under_its_clients(guest: Machine, manager: PostgreSQLManager) -> None:
    manager.create_database(CONTEXT, [Database("busy")])
    manager.create_user(CONTEXT, [user("client", databases=("busy",))])
    connection = guest.log_in("client", PASSWORD, "busy")
    connection.run("CREATE TABLE t (a int)")
    manager.delete_database(CONTEXT, Database("busy"))
    with pytest.raises(Exception, match=r"terminat|network"):
        connection.run("SELECT 1")
    manager.delete_user(CONTEXT, User("client"))
    assert owners(manager) == []


def test_nobody_enters_a_database_without_a_grant(guest: Machine, manager: PostgreSQLManager) -> None:
    manager.create_database(CONTEXT, [Database("closed")])
    manager.create_user(CONTEXT, [user("stranger")])
    with pytest.raises(DatabaseError, match="permission denied"):
        guest.log_in("stranger", PASSWORD, "closed")
    manager.delete_user(CONTEXT, User("stranger"))
    manager.delete_database(CONTEXT, Database("closed"))


def test_a_new_database_has_nothing_of_a_former_one_of_its_name(guest: Machine, manager: PostgreSQLManager) -> None:
    """Where it was dropped or renamed by SQL, the role that owned it is still there."""
    manager.create_database(CONTEXT, [Database("again"), Database("renamed")])
    manager.create_user(CONTEXT, [user("member", databases=("again", "renamed"))])
    manager.connections.execute("Dropping", "DROP DATABASE again")
    manager.connections.execute("Renaming", "ALTER DATABASE renamed RENAME TO elsewhere")
    manager.create_database(CONTEXT, [Database("again"), Database("renamed")])
    assert manager.list_access(CONTEXT, "member", "%") == [Database("elsewhere")]
    assert guest.ask("member", PASSWORD, "SELECT 1", "elsewhere") == [[1]]
    for name in ("again", "renamed"):
        with pytest.raises(DatabaseError, match="permission denied"):
            guest.log_in("member", PASSWORD, name)
    for name in ("again", "renamed", "elsewhere"):
        manager.delete_database(CONTEXT, Database(name))
    manager.delete_user(CONTEXT, User("member"))
    assert owners(manager) == []
