"""A server on restored data for a few queries: without a network, stopped and forgotten afterwards."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from guestagent.capabilities import scratch
from guestagent.capabilities.error_log import ErrorLog
from guestagent.contract.errors import InvalidValue
from guestagent.system import command, files, waiting
from guestagent.system.stream import Producer
from guestagent_postgresql import conf_file, host_access
from guestagent_postgresql.connection import DATASTORE, SUPERUSER, Connections
from guestagent_postgresql.programs import ERROR, Programs
from guestagent_postgresql.settings import VERSION_FILE

if TYPE_CHECKING:
    from guestagent.capabilities.backups import Query

PORT = 5432
"""Names the socket; nothing listens on it."""
MEMORY = "32MB"
"""What it takes beside the instance's own server, about."""
STOP_SECONDS = 60
_CONNECT = re.compile(r"\s*\\c(?:onnect)?\s+(?P<database>\S+)\s+(?P<query>.*)", re.DOTALL)
"""A query of one database begins as in psql: ``\\c shop SELECT ...``."""


@contextlib.contextmanager
def running(
    programs: Programs, account: str | None, target: Path, directory: Path, start: int, timeout: int
) -> "Iterator[Query]":
    r"""A server as long as the block lasts; every query has the rights of a superuser, in ``postgres`` or where it
    says: ``\c shop SELECT ...``.

    :param account: whom it runs as; it owns both directories, of mode 0700.
    :param target: the data directory.
    :param directory: takes the socket and the logs; its name is short, as a socket's must be.
    :param start: seconds until it must answer.
    :param timeout: seconds until a query is given up.
    :raises DatastoreError: it does not come up, in its own words.
    :raises InvalidValue: the data are of a version that the image does not hold.
    """
    major = int((target / VERSION_FILE).read_text())
    if major not in programs.majors():
        problem = f"they are of PostgreSQL {major}, which this image does not hold"
        raise InvalidValue(subject="The restored data", problem=problem)
    log = ErrorLog(directory / "error.log", ERROR)
    arguments = _write_configuration(target, directory, account)
    connections = Connections(SUPERUSER, directory / f".s.PGSQL.{PORT}", lambda: timeout)

    def query(statement: str) -> Sequence[Sequence[str | None]]:
        found = _CONNECT.fullmatch(statement)
        database, asked = (found["database"], found["query"]) if found else (None, statement)
        with connections.session("The query", database) as ask:
            # As a person's session begins, and not the agent's.
            ask('SET search_path = "$user", public')
            return [[scratch.as_text(value) for value in row] for row in ask(asked)]

    argv = [programs.path(major, "postgres"), *arguments]
    with contextlib.closing(connections), Producer(argv, user=account) as process:
        try:
            scratch.wait_until_answers(lambda: query("SELECT 1"), process, log, start, DATASTORE)
            yield query
        finally:
            # One that is killed leaves memory behind that only its next start would free.
            _stop(programs.path(major, "pg_ctl"), account, target)


def _write_configuration(target: Path, directory: Path, account: str | None) -> list[str]:
    settings: dict[str, object] = {
        "listen_addresses": "",
        "port": PORT,
        "unix_socket_directories": str(directory),
        "logging_collector": True,
        "log_directory": str(directory),
        "log_filename": "error.log",
        "shared_buffers": MEMORY,
        "max_connections": 5,
        "max_wal_senders": 0,
        "superuser_reserved_connections": 0,
        "max_worker_processes": 0,
        # The data are thrown away.
        "fsync": False,
        "full_page_writes": False,
        "autovacuum": False,
        "archive_mode": False,
    }
    texts = {
        "config_file": conf_file.rendered(settings),
        "hba_file": f"local all {SUPERUSER} peer map={host_access.MAP}\n",
        "ident_file": host_access.accounts(SUPERUSER, account),
    }
    arguments = ["-c", f"data_directory={target}"]
    for name, text in texts.items():
        path = directory / name
        files.write(path, text, mode=0o600, owner=account, group=account)
        arguments += ["-c", f"{name}={path}"]
    return arguments


def _stop(program: str, account: str | None, target: Path) -> None:
    argv = [program, "stop", f"--pgdata={target}", "--mode=immediate"]
    with waiting.shielded():
        # It may have ended by itself.
        command.run(argv, timeout=STOP_SECONDS, user=account, accept=range(128))
