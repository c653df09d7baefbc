"""A server on restored data for a few commands: without a network, without users, killed and forgotten afterwards."""

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path

from guestagent.capabilities import scratch
from guestagent.capabilities.error_log import ErrorLog
from guestagent.contract.errors import DatastoreDown, DatastoreError, InvalidValue
from guestagent.system import files
from guestagent.system.stream import Producer
from guestagent_redis import directives
from guestagent_redis.layout import DUMP
from guestagent_redis.resp import Connection, Refused, Reply
from guestagent_redis.server_program import ERROR


class ScratchServer:
    """A server that runs; every command has the rights of an administrator, and only over what is thrown away.

    :param socket: where it listens.
    :param datastore: what an error's sentence calls it.
    :param timeout: seconds until a command is given up.
    """

    def __init__(self, socket: Path, datastore: str, timeout: int) -> None:
        self._socket = socket
        self._datastore = datastore
        self._timeout = timeout

    def query(self, line: str) -> list[list[str | None]]:
        """The reply to a command, its words as a shell would read them; a row for each item of an array.

        :raises InvalidValue: it is no command.
        :raises DatastoreError: the server refuses it, in its own words.
        :raises DatastoreDown: it does not answer.
        """
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise InvalidValue(subject="The command", problem=error) from None
        if not words:
            raise InvalidValue(subject="The command", problem="it is empty")
        return _rows(self._ask(*words))

    def _ask(self, *words: str) -> Reply:
        try:
            with contextlib.closing(Connection(self._socket, self._timeout)) as connection:
                return connection.call(*words)
        except Refused as refused:
            if refused.code == "LOADING":
                raise DatastoreDown(datastore=self._datastore, problem=refused.words) from None
            raise DatastoreError(subject="The command", problem=refused) from None
        except OSError as error:
            raise DatastoreDown(datastore=self._datastore, problem=error.strerror or error) from None


@contextlib.contextmanager
def running(
    program: str, account: str | None, datastore: str, target: Path, directory: Path, start: int, timeout: int
) -> Iterator[ScratchServer]:
    """A server as long as the block lasts.

    :param program: of the server.
    :param account: whom it runs as; it owns both directories, of mode 0700.
    :param datastore: what an error's sentence calls it.
    :param target: the data directory.
    :param directory: takes the socket and the log; its name is short, as a socket's must be.
    :param start: seconds until it must answer.
    :param timeout: seconds until a command is given up.
    :raises DatastoreError: it does not come up, in its own words.
    """
    socket, configuration, log = directory / "server.sock", directory / "server.conf", directory / "server.log"
    text = directives.rendered(
        {
            "dir": str(target),
            "dbfilename": DUMP,
            "unixsocket": str(socket),
            "unixsocketperm": 700,
            "port": 0,
            "logfile": str(log),
            "appendonly": False,
            "save": "",
            "daemonize": False,
        }
    )
    files.write(configuration, text, mode=0o600, owner=account, group=account)
    server = ScratchServer(socket, datastore, timeout)
    with Producer([program, str(configuration)], user=account) as process:
        scratch.wait_until_answers(lambda: server.query("PING"), process, ErrorLog(log, ERROR), start, datastore)
        yield server


def _rows(reply: Reply) -> list[list[str | None]]:
    """A reply as rows; what is nested deeper stands in one row."""
    items = reply if isinstance(reply, list) else [reply]
    return [[scratch.as_text(value) for value in _flat(item)] for item in items]


def _flat(reply: Reply) -> Iterator[str | int | None]:
    if isinstance(reply, list):
        for item in reply:
            yield from _flat(item)
    else:
        yield reply
