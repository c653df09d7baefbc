"""The file in which the agent keeps what must outlive it: SQLite, 0600, every change on disk before the next thing.

A file that is damaged is set aside, never repaired: what the instance is, the machine itself can tell better.
"""

import contextlib
import datetime
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from oslo_log import log

from guestagent.contract.errors import SystemFailure

LOG = log.getLogger(__name__)

NAME = "journal.db"
SYNCED, UNSYNCED = "PRAGMA synchronous = FULL", "PRAGMA synchronous = NORMAL"
COMPANIONS = ("", "-wal", "-shm")
"""What SQLite keeps beside the file; see its documentation, "Write-Ahead Logging"."""

UNWRITABLE = (sqlite3.Error, UnicodeError, OverflowError)
"""A disk that refuses, a text that is no Unicode, a number of more than 64 bits."""

MIGRATIONS: Sequence[Sequence[str]] = (
    (
        "CREATE TABLE instance (only INTEGER PRIMARY KEY CHECK (only = 1), record TEXT NOT NULL)",
        """CREATE TABLE operations (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            namespace TEXT NOT NULL,
            call TEXT NOT NULL,
            request_id TEXT NOT NULL,
            message_id TEXT UNIQUE,
            subject TEXT,
            awaited INTEGER NOT NULL,
            path TEXT NOT NULL,
            state TEXT NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0,
            sealed BLOB,
            accepted REAL NOT NULL,
            started REAL,
            updated REAL NOT NULL,
            ended REAL,
            error TEXT,
            told INTEGER NOT NULL DEFAULT 0
        )""",
        # Where to prune: those that wait are the newest, and may be many.
        "CREATE INDEX ended_operations ON operations (number) WHERE ended IS NOT NULL",
        "CREATE INDEX operations_by_subject ON operations (call, subject) WHERE subject IS NOT NULL",
        """CREATE TABLE plans (
            operation INTEGER NOT NULL REFERENCES operations (number) ON DELETE CASCADE,
            name TEXT NOT NULL,
            error TEXT NOT NULL,
            PRIMARY KEY (operation, name)
        ) WITHOUT ROWID""",
        """CREATE TABLE steps (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            operation INTEGER NOT NULL REFERENCES operations (number) ON DELETE CASCADE,
            plan TEXT NOT NULL,
            name TEXT NOT NULL,
            state TEXT NOT NULL,
            kept BLOB,
            started REAL NOT NULL,
            ended REAL,
            error TEXT,
            UNIQUE (operation, plan, name)
        )""",
    ),
)
"""The statements that lead from each version of the schema to the next, the first from nothing. What is here
has been on disks and is never changed; a new version is a new entry."""


class Store:
    """The open file. Safe to use from several threads.

    :param directory: holds the file.
    :ivar path: the file.
    :ivar set_aside: where the damaged file is that was found; none: there was none.
    :raises SystemFailure: it cannot be opened, or a newer agent has written it.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / NAME
        self.set_aside: Path | None = None
        self._lock = threading.RLock()
        try:
            self._connection = self._open_or_begin()
        except (sqlite3.Error, OSError) as error:
            raise self._failed("Opening", error) from error

    @contextlib.contextmanager
    def change(self, *, synced: bool = True) -> Iterator[sqlite3.Connection]:
        """What the block writes is on disk when it ends, or not written when it or the disk fails.

        :param synced: otherwise it survives the agent and not a power cut, and is on disk with the next change that
            is; for what costs no more than a repetition.
        :raises SystemFailure: the disk refuses, or SQLite a value.
        """
        with self._lock:
            try:
                self._connection.execute(SYNCED if synced else UNSYNCED)
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                    self._connection.execute("COMMIT")
                except BaseException:
                    # A full disk may have ended the transaction already.
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise
            except sqlite3.IntegrityError:
                raise
            except UNWRITABLE as error:
                raise self._failed("Writing", error) from error

    def fetch(self, statement: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """All rows that a statement gives.

        :raises SystemFailure: the disk refuses.
        """
        with self._lock:
            try:
                return self._connection.execute(statement, values).fetchall()
            except UNWRITABLE as error:
                raise self._failed("Reading", error) from error

    def close(self) -> None:
        """Close the file; nothing can be asked afterwards."""
        with self._lock:
            self._connection.close()

    def _open_or_begin(self) -> sqlite3.Connection:
        try:
            return self._open()
        except sqlite3.OperationalError:
            raise  # the disk or a mistake of ours, which a new file would not mend
        except sqlite3.DatabaseError as error:
            self._put_aside(error)
            return self._open()

    def _open(self) -> sqlite3.Connection:
        if self.path.exists() and not (self.path.is_file() and self.path.stat().st_size):
            # SQLite would begin anew without a word, and forget what it had written ahead.
            raise sqlite3.DatabaseError("it is empty, or no file")
        # SQLite gives its other files the mode of this one.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
        try:
            connection.row_factory = sqlite3.Row
            for setting in (
                "journal_mode = WAL",
                "synchronous = FULL",
                "foreign_keys = ON",
                # A hundred rows: what SQLite would keep in memory by default is more than all of them.
                "cache_size = -128",
                # Pages, a megabyte: each checkpoint is two more syncs.
                "wal_autocheckpoint = 256",
            ):
                connection.execute(f"PRAGMA {setting}")
            [(verdict,), *_] = connection.execute("PRAGMA quick_check(1)").fetchall()
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
            self._migrate(connection)
        except BaseException:
            connection.close()
            if not self.path.stat().st_size:
                self.path.unlink()  # the next start would find it damaged
            raise
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        [(version,)] = connection.execute("PRAGMA user_version").fetchall()
        if version > len(MIGRATIONS):
            problem = (
                f"a newer agent wrote it (schema {version}, this one knows {len(MIGRATIONS)}); use its image again"
            )
            raise SystemFailure(subject=f"Opening {self.path}", problem=problem)
        for number, statements in enumerate(MIGRATIONS[version:], version + 1):
            connection.execute("BEGIN IMMEDIATE")
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")

    def _put_aside(self, error: sqlite3.DatabaseError) -> None:
        now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S.%f")
        self.set_aside = self.path.with_name(f"{NAME}.damaged-{now}")
        LOG.critical("%s is damaged (%s); it is kept as %s, and a new one begins", self.path, error, self.set_aside)
        for companion in COMPANIONS:
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self.path}{companion}").rename(f"{self.set_aside}{companion}")

    def _failed(self, what: str, error: Exception) -> SystemFailure:
        return SystemFailure(subject=f"{what} {self.path}", problem=getattr(error, "strerror", None) or error)
