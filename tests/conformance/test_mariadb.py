"""MariaDB as the conformance kit sees it."""

import contextlib
import shutil
import ssl
from collections.abc import Iterator
from typing import Any

import pymysql

from guestagent.conformance.datastore import Account, Datastore, Options, Setting
from guestagent.conformance.ports import LOOPBACK
from guestagent.conformance.suite import *  # noqa: F403
from tests.support import mariadb

REFUSED = (1044, 1045, 1698, 4151)
"""Access denied: to a database, to anybody, without a password, and because the account is locked."""
NO_SUCH_TABLE = 1146
READ_ONLY = 1290


class MariaDB(Datastore):
    """With the server of the distribution."""

    name = mariadb.DATASTORE
    programs = ("mariadbd", "mariadb-backup")
    version = "10.11"
    config_contents = "[mysqld]\ninnodb_log_file_size = 4M\ninnodb_buffer_pool_size = 24M\nmax_connections = 60\n"
    backup_strategy = "mariabackup"
    archive_strategy = "mariadb_binlog"
    incremental = True
    live = Setting("max_connections", 70)
    restart = Setting("performance_schema", value=True, seen=1)
    refused = (Setting("max_connections", "many"), Setting("event_scheduler", "banana"), Setting("datadir", "/tmp"))

    refused_live = Setting("innodb_buffer_pool_size", 1 << 62)
    unstartable = "innodb_page_size = 8k"
    switched_log = "general"
    touching = {"guestagent_mariadb.connection": {"execute", "fetch", "shown_certificate"}}
    configured = ("config/**/*", "volume/tls/*", "volume/logins-before-mtls.json")
    unfinished = (
        ".backup-scratch",
        ".backup-draft",
        ".archive-scratch",
        "trial.cnf",
        "claim.sql",
        "lent.cnf",
        "archiver.cnf",
    )

    def options(self) -> Options:
        found = mariadb.options(self.directory)
        self._port = int(str(found["mariadb"]["port"]))
        found["mariadb"]["binary_log"] = True
        # On a full disk a statement waits for room, and the kit not so long.
        found["mariadb"]["statement_timeout"] = 30
        return found

    def enters(self, account: Account) -> bool:
        try:
            with self._connected(account):
                return True
        except pymysql.err.OperationalError as error:
            if error.args[0] not in REFUSED:
                raise
            return False

    def write(self, account: Account, key: str, value: str) -> None:
        self._ask(account, "CREATE TABLE IF NOT EXISTS notes (name VARCHAR(60) PRIMARY KEY, value TEXT)")
        self._ask(account, "REPLACE INTO notes VALUES (%s, %s)", key, value)

    def may_write(self, account: Account) -> bool:
        try:
            self.write(account, "probe", "")
        except pymysql.err.OperationalError as error:
            if error.args[0] != READ_ONLY:
                raise
            return False
        return True

    def read(self, account: Account, key: str) -> str | None:
        try:
            found = self._ask(account, "SELECT value FROM notes WHERE name = %s", key)
        except pymysql.err.ProgrammingError as error:
            if error.args[0] != NO_SUCH_TABLE:
                raise
            return None
        return found[0][0] if found else None

    def setting(self, account: Account, name: str) -> Any:
        return self._ask(account, f"SELECT @@GLOBAL.{name}")[0][0]

    def certificate(self, account: Account) -> bytes | None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            with self._connected(account, ssl=context) as connection:
                return connection._sock.getpeercert(binary_form=True)
        except pymysql.err.OperationalError:
            assert self.enters(account)
            return None

    def lose_root_disk(self) -> None:
        for name in ("run", "log", "config"):
            shutil.rmtree(self.directory / name)

    @contextlib.contextmanager
    def _connected(self, account: Account, **how: Any) -> Iterator[Any]:
        with pymysql.connect(
            host=LOOPBACK,
            port=self._port,
            user=account.name,
            # A text would be sent as Latin-1.
            password=account.password.encode(),
            database=account.database,
            charset="utf8mb4",
            autocommit=True,
            **how,
        ) as connection:
            yield connection

    def _ask(self, account: Account, statement: str, *values: object) -> tuple[tuple[Any, ...], ...]:
        with self._connected(account) as connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            return tuple(cursor.fetchall())


DATASTORE = MariaDB
