"""What a power cut takes from the journal is the last change, and nothing that the database has."""

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestagent.conformance.journal_log import lose_last_change


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A database whose changes stay in its log."""
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA wal_autocheckpoint = 0")
        database.execute("CREATE TABLE notes (number INTEGER)")
        yield database


def after_a_power_cut(database: sqlite3.Connection, tmp_path: Path) -> list[int]:
    """What is in it when the machine has come back."""
    cut = tmp_path / "cut"
    cut.mkdir()
    for path in tmp_path.glob("journal.db*"):
        shutil.copy(path, cut)
    lose_last_change(cut / "journal.db-wal")
    (cut / "journal.db-shm").unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(cut / "journal.db")) as found:
        return [number for (number,) in found.execute("SELECT number FROM notes ORDER BY number")]


def note(database: sqlite3.Connection, *numbers: int) -> None:
    """One change."""
    database.execute("BEGIN")
    database.executemany("INSERT INTO notes VALUES (?)", [(number,) for number in numbers])
    database.execute("COMMIT")


def test_the_last_change_is_lost_with_all_its_pages(database: sqlite3.Connection, tmp_path: Path) -> None:
    note(database, 1)
    note(database, *range(2, 5000))
    assert after_a_power_cut(database, tmp_path) == [1]


def test_what_the_database_has_stays(database: sqlite3.Connection, tmp_path: Path) -> None:
    note(database, 1)
    database.execute("PRAGMA wal_checkpoint(PASSIVE)")
    assert after_a_power_cut(database, tmp_path) == [1]


def test_what_an_older_log_has_left_is_no_change(database: sqlite3.Connection, tmp_path: Path) -> None:
    note(database, *range(5000))
    database.execute("DELETE FROM notes")
    database.execute("PRAGMA wal_checkpoint(RESTART)")
    note(database, 1)
    note(database, 2)
    assert after_a_power_cut(database, tmp_path) == [1]


def test_without_a_log_nothing_is_lost(tmp_path: Path) -> None:
    lose_last_change(tmp_path / "journal.db-wal")
    assert list(tmp_path.iterdir()) == []
