"""PostgreSQL as the conformance kit sees it."""

import re
import shutil
import ssl
import subprocess
from typing import Any

from guestagent_postgresql.identifiers import literal
from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection

from guestagent.conformance.datastore import Account, Datastore, Options, Setting
from guestagent.conformance.ports import LOOPBACK
from guestagent.conformance.suite import *  # noqa: F403
from tests.support import postgresql

PSQL = "/usr/lib/postgresql/15/bin/psql"
REFUSED = re.compile(
    r"password authentication failed|no password supplied|pg_hba\.conf rejects|permission denied for database"
)
NO_SUCH_TABLE = "42P01"
READ_ONLY = "25006"


class PostgreSQL(Datastore):
    """With the server of the distribution."""

    name = postgresql.DATASTORE
    programs = ("/usr/lib/postgresql/15/bin/postgres", PSQL)
    version = "15"
    config_contents = "shared_buffers = 24MB\nmax_connections = 60\n"
    backup_strategy = "pg_basebackup"
    archive_strategy = "postgresql_wal"
    live = Setting("work_mem", "7MB")
    restart = Setting("max_connections", 70, seen="70")
    refused = (
        Setting("max_connections", "many"),
        Setting("log_statement", "banana"),
        Setting("data_directory", "/tmp"),
    )

    unstartable = "shared_preload_libraries = 'klingon'"
    switched_log = "general"
    touching = {"guestagent_postgresql.connection": {"execute", "fetch", "check", "session"}}
    configured = ("config/**/*", "volume/tls/*")
    unfinished = (
        ".backup-scratch",
        ".archiver-scratch",
        ".data-upgraded",
        ".data-before-upgrade",
        "trial.conf",
        "*-service.conf",
    )

    def options(self) -> Options:
        found = postgresql.options(self.directory)
        self._port = int(str(found["postgresql"]["port"]))
        return found

    def enters(self, account: Account) -> bool:
        # The library that the other questions are asked with takes no password that SASLprep forbids; this client does.
        environment = {
            "PGHOST": LOOPBACK,
            "PGPORT": str(self._port),
            "PGUSER": account.name,
            "PGPASSWORD": account.password,
            "PGDATABASE": account.database or "postgres",
            "PGSSLMODE": "prefer",
            "LANG": "C.UTF-8",
        }
        done = subprocess.run(
            [PSQL, "-X", "-w", "-c", "SELECT 1"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0 or REFUSED.search(done.stderr), done.stderr
        return done.returncode == 0

    def write(self, account: Account, key: str, value: str) -> None:
        self._ask(account, "CREATE TABLE IF NOT EXISTS notes (name text PRIMARY KEY, value text)")
        change = "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        self._ask(account, f"INSERT INTO notes VALUES ({literal(key)}, {literal(value)}) {change}")

    def may_write(self, account: Account) -> bool:
        try:
            self.write(account, "probe", "")
        except DatabaseError as error:
            if error.args[0]["C"] != READ_ONLY:
                raise
            return False
        return True

    def read(self, account: Account, key: str) -> str | None:
        try:
            found = self._ask(account, f"SELECT value FROM notes WHERE name = {literal(key)}")
        except DatabaseError as error:
            if error.args[0]["C"] != NO_SUCH_TABLE:
                raise
            return None
        return found[0][0] if found else None

    def setting(self, account: Account, name: str) -> Any:
        return self._ask(account, f"SHOW {name}")[0][0]

    def certificate(self, account: Account) -> bytes | None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            with self._connected(account, ssl_context=context) as connection:
                return connection._usock.getpeercert(binary_form=True)
        except InterfaceError:
            assert self.enters(account)
            return None

    def lose_root_disk(self) -> None:
        for name in ("run", "log", "config"):
            shutil.rmtree(self.directory / name)

    def _connected(self, account: Account, **how: Any) -> Any:
        options = {"ssl_context": False, "database": account.database or "postgres", "timeout": 30, **how}
        return Connection(account.name, host=LOOPBACK, port=self._port, password=account.password, **options)

    def _ask(self, account: Account, statement: str) -> list[list[Any]]:
        with self._connected(account) as connection:
            return connection.run(statement) or []


DATASTORE = PostgreSQL
