"""A server on restored data for a few queries: without a network, without users, killed and forgotten afterwards."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from guestagent.capabilities import scratch
from guestagent.capabilities.error_log import ErrorLog
from guestagent.system import files
from guestagent.system.stream import Producer
from guestagent_mariadb import option_file
from guestagent_mariadb.administrator import DATASTORE, Administrator
from guestagent_mariadb.connection import Connections
from guestagent_mariadb.server_program import ERROR

FORMAT = frozenset({"innodb_page_size", "innodb_data_file_path", "innodb_undo_tablespaces", "lower_case_table_names"})
"""Options that the files of a data directory depend on; nothing else of the instance's configuration counts here."""
MEMORY = "64M"
"""What it takes beside the instance's own server, about."""


class ScratchServer:
    """A server that runs; every query has the rights of an administrator, and only over what is thrown away.

    :param socket: where it listens.
    :param credentials: a file that is written; the server asks for none, and the client wants some.
    :param timeout: seconds until a query is given up.
    """

    def __init__(self, socket: Path, credentials: Path, timeout: int) -> None:
        administrator = Administrator("root", credentials, socket)
        administrator.renew()
        self._connections = Connections(administrator, lambda: timeout)

    def query(self, statement: str) -> list[list[str | None]]:
        """The rows of a query, as text.

        :raises DatastoreError: the server refuses it, in its own words.
        :raises DatastoreDown: it does not answer.
        """
        rows = self._connections.fetch("The query", statement.replace("%", "%%"))
        return [[scratch.as_text(value) for value in row] for row in rows]

    def close(self) -> None:
        """Ask nothing more."""
        self._connections.close()


@contextlib.contextmanager
def running(
    program: str, account: str | None, target: Path, directory: Path, layers: Iterable[str], start: int, timeout: int
) -> Iterator[ScratchServer]:
    """A server as long as the block lasts.

    :param program: of the server.
    :param account: whom it runs as; it owns both directories, of mode 0700.
    :param target: the data directory.
    :param directory: takes the socket and the logs; its name is short, as a socket's must be.
    :param layers: the instance's configuration.
    :param start: seconds until it must answer.
    :param timeout: seconds until a query is given up.
    :raises DatastoreError: it does not come up, in its own words.
    """
    log = ErrorLog(directory / "error.log", ERROR)
    socket, configuration = directory / "server.sock", directory / "server.cnf"
    text = _configuration(target, directory, socket, layers)
    files.write(configuration, text, mode=0o600, owner=account, group=account)
    server = ScratchServer(socket, directory / "client.cnf", timeout)
    argv = [program, f"--defaults-file={configuration}"]
    with contextlib.closing(server), Producer(argv, user=account) as process:
        scratch.wait_until_answers(lambda: server.query("SELECT 1"), process, log, start, DATASTORE)
        yield server


def _configuration(target: Path, directory: Path, socket: Path, layers: Iterable[str]) -> str:
    options = [option for text in layers for option in option_file.server_options(text)]
    ours = {
        "datadir": str(target),
        "tmpdir": str(directory),
        "socket": str(socket),
        "pid_file": str(directory / "server.pid"),
        "log_error": str(directory / "error.log"),
        "secure_file_priv": str(directory),
        "skip_networking": True,
        "skip_grant_tables": True,
        # The data may be those of a replica, which must not go on where the backup ends.
        "skip_slave_start": True,
        "innodb_buffer_pool_size": MEMORY,
        "performance_schema": False,
        "symbolic_links": False,
        "core_file": False,
    }
    kept = [option for option in options if option_file.bare(option.name) in FORMAT]
    return option_file.written(kept) + option_file.rendered(ours)
