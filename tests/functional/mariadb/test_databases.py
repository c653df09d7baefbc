"""Databases of a real server: what may be created, what is listed, and page by page."""

import pytest
from guestagent_mariadb.manager import MariaDBManager

from guestagent.contract.databases import Database
from guestagent.contract.errors import InvalidValue, NotFound
from tests.support.machine import CONTEXT

HOSTILE = [
    "it's",
    'say "hi"',
    "back`tick",
    "`; DROP DATABASE mysql; --",
    "'; DROP DATABASE mysql; --",
    "per%cent",
    "under_score",
    "back\\slash",
    "%s",
    "%(name)s",
    "two  blanks",
    "a/b",
    "..",
    "a@b.c",
    "数据库",
    "базаданных",
    "قاعدة",
    "é",
    "e\u0301",
    "x" * 64,
]
REFUSED = [
    "",
    "x" * 65,
    "nul\0",
    "new\nline",
    "tab\t",
    "trailing ",
    " leading",
    "😀",
    "\ud800",
    "名" * 64,
    "#mysql50#x",
    "mysql",
    "MySQL",
    "sys",
    "information_schema",
    "performance_schema",
    "lost+found",
]


def names(manager: MariaDBManager) -> list[str]:
    return [database.name for database in manager.list_databases(CONTEXT)[0]]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_a_name_whatever_it_looks_like(manager: MariaDBManager, name: str) -> None:
    before = names(manager)

    manager.create_database(CONTEXT, [Database(name)])
    assert sorted([*before, name], key=str.encode) == names(manager)

    manager.delete_database(CONTEXT, Database(name))
    assert names(manager) == before


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_the_server_cannot_have_is_refused(manager: MariaDBManager, name: str) -> None:
    before = names(manager)

    with pytest.raises(InvalidValue) as refused:
        manager.create_database(CONTEXT, [Database(name)])

    str(refused.value).encode()
    assert names(manager) == before


def test_a_new_database_holds_all_of_unicode_unless_it_is_said_otherwise(manager: MariaDBManager) -> None:
    wanted = [Database("cs1"), Database("cs2", "latin1"), Database("cs3", "utf8mb4", "utf8mb4_bin")]
    wanted.append(Database("cs4", None, "latin2_bin"))
    manager.create_database(CONTEXT, wanted)

    listed = {database.name: database for database in manager.list_databases(CONTEXT)[0]}
    assert listed["cs1"] == Database("cs1", "utf8mb4", "utf8mb4_general_ci")
    assert listed["cs2"] == Database("cs2", "latin1", "latin1_swedish_ci")
    assert listed["cs3"] == Database("cs3", "utf8mb4", "utf8mb4_bin")
    assert listed["cs4"] == Database("cs4", "latin2", "latin2_bin")


@pytest.mark.parametrize(
    ("character_set", "collate"),
    [("klingon", None), (None, "klingon_ci"), ("latin1", "utf8mb4_bin"), ("utf8mb4' COLLATE x; --", None)],
)
def test_a_character_set_that_the_server_does_not_know_is_refused(
    manager: MariaDBManager, character_set: str | None, collate: str | None
) -> None:
    with pytest.raises(InvalidValue):
        manager.create_database(CONTEXT, [Database("odd", character_set, collate)])
    assert "odd" not in names(manager)


def test_dropping_what_is_not_there_says_so(manager: MariaDBManager) -> None:
    with pytest.raises(NotFound, match="'never'"):
        manager.delete_database(CONTEXT, Database("never"))
    with pytest.raises(InvalidValue):
        manager.delete_database(CONTEXT, Database("mysql"))
