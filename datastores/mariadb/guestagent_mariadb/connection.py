"""The one place where the agent connects to the server and hears its errors."""

import contextlib
import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from guestagent.contract.errors import DatastoreDown, DatastoreError, GuestAgentError, InvalidValue
from guestagent_mariadb.administrator import DATASTORE, Administrator

if TYPE_CHECKING:
    from guestagent.capabilities.idle import IdleConnection
    from guestagent_mariadb.client import Connection

Row = tuple[Any, ...]
Refusals = Mapping[int, Callable[[str], GuestAgentError]]
"""What an error of the server means to a caller: by its number, made from its words."""

CONNECT_SECONDS = 5
LOCK_WAIT_SECONDS = 50

SESSION: Mapping[str, object] = {
    # Whatever the user configured for everybody, the agent's own statements mean the same.
    "sql_mode": "STRICT_ALL_TABLES,NO_AUTO_CREATE_USER",
    "old_passwords": 0,
    "max_statement_time": 0,
    "lock_wait_timeout": LOCK_WAIT_SECONDS,
    "lc_messages": "en_US",
    # The user's logs are about the user's statements.
    "sql_log_off": 1,
    "slow_query_log": 0,
}
"""The variables of every session of the agent."""

_GONE = frozenset({1053, 1077, 1079, 1152, 1317, 1927, 2002, 2003, 2006, 2013, 2014, 2055})
"""Server shutdown, killed connections, and the client's own "cannot connect" and "lost connection"."""
_NOT_LET_IN = frozenset({1040, 1045, 1129, 1130, 1203, 1226, 1698})
_DIGEST = re.compile(r"\*[0-9A-F]{40}")


class Connections:
    """Connections to the server as the administrator, one to a thread at a time.

    One idle connection is kept; it is checked before it is used again. Safe to use from several threads.

    :param timeout: gives the seconds until a statement is given up.
    """

    def __init__(self, administrator: Administrator, timeout: Callable[[], int]) -> None:
        self._administrator = administrator
        self._timeout = timeout

    @functools.cached_property
    def _idle(self) -> "IdleConnection[Connection]":
        # Most agents are idle, and ask the server nothing before it is there.
        from guestagent.capabilities.idle import IdleConnection

        return IdleConnection(self._open, _answers, _close)

    def execute(
        self, subject: str, statement: str, values: Sequence[object] = (), refusals: Refusals | None = None
    ) -> None:
        """Execute a statement, committed at once.

        :param subject: what it does, for an error's sentence.
        :param statement: with ``%s`` for every value; identifiers come from ``identifiers.quoted``.
        :param refusals: what errors to expect.
        :raises DatastoreDown: the server does not answer, or not in time: it may yet do it.
        :raises DatastoreError: it refused, in its own words, and ``refusals`` says nothing else.
        """
        with (
            self._reporting(subject, refusals or {}),
            self._idle.borrowed() as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement, tuple(values))

    def fetch(self, subject: str, statement: str, values: Sequence[object] = ()) -> list[Row]:
        """All rows that a statement gives; arguments and errors as for :meth:`execute`."""
        with self._reporting(subject, {}), self._idle.borrowed() as connection, connection.cursor() as cursor:
            cursor.execute(statement, tuple(values))
            return list(cursor.fetchall())

    @contextlib.contextmanager
    def holding(self, subject: str, statement: str) -> "Iterator[Callable[[str], list[Row]]]":
        """A connection of its own, so that what the statement holds is held as long as the block, or we, last.

        :returns: what fetches over this connection; arguments and errors as for :meth:`execute`.
        """
        with self._reporting(subject, {}):
            connection = self._open()
        try:

            def ask(question: str) -> list[Row]:
                with self._reporting(subject, {}), connection.cursor() as cursor:
                    cursor.execute(question)
                    return list(cursor.fetchall())

            ask(statement)
            yield ask
        finally:
            _close(connection)

    def shown_certificate(self) -> str:
        """The certificate that the server shows to a client that speaks TLS, as PEM; errors as for :meth:`execute`."""
        import ssl

        class Witness(ssl.SSLContext):
            shown = ""

            def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
                wrapped = super().wrap_socket(*args, **options)
                self.shown = ssl.DER_cert_to_PEM_cert(wrapped.getpeercert(binary_form=True) or b"")
                return wrapped

        witness = Witness(ssl.PROTOCOL_TLS_CLIENT)
        # Nothing is believed because of it, and the socket is the server's for certain.
        witness.check_hostname = False
        witness.verify_mode = ssl.CERT_NONE
        with self._reporting("Looking at the certificate", {}):
            _close(self._connect(ssl=witness))
        return witness.shown

    def close(self) -> None:
        """Close the idle connection, as before the server stops."""
        self._idle.close()

    def _connect(self, **options: Any) -> "Connection":
        from guestagent_mariadb import client

        return client.connect(
            user=self._administrator.name,
            password=self._administrator.password(),
            unix_socket=str(self._administrator.socket),
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=min(CONNECT_SECONDS, self._timeout()),
            read_timeout=self._timeout(),
            write_timeout=self._timeout(),
            **options,
        )

    def _open(self) -> "Connection":
        settings = ", ".join(f"{name} = %s" for name in SESSION)
        with contextlib.ExitStack() as opened:
            connection = self._connect(ssl_disabled=True)
            opened.callback(_close, connection)
            with connection.cursor() as cursor:
                cursor.execute(f"SET SESSION {settings}", tuple(SESSION.values()))
            opened.pop_all()
        return connection

    @contextlib.contextmanager
    def _reporting(self, subject: str, refusals: Refusals) -> Iterator[None]:
        from guestagent_mariadb.client import Error

        try:
            yield
        except UnicodeEncodeError:
            raise InvalidValue(subject="The request", problem="a name in it is no valid Unicode text") from None
        except Error as error:
            raise self._meaning(error, subject, refusals) from None

    def _meaning(self, error: Exception, subject: str, refusals: Refusals) -> GuestAgentError:
        number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        words = _DIGEST.sub("***", str(error.args[-1]) if error.args else type(error).__name__)
        if number in refusals:
            return refusals[number](words)
        if number == 2013 and "timed out" in words:
            problem = f"no answer to a statement within {self._timeout()} s; it may yet be carried out"
            return DatastoreDown(datastore=DATASTORE, problem=problem)
        if number in _GONE or number == 0:
            return DatastoreDown(datastore=DATASTORE, problem=words)
        if number in _NOT_LET_IN:
            return DatastoreDown(datastore=DATASTORE, problem=f"it did not let the agent in: {words}")
        return DatastoreError(subject=subject, problem=f"{words} (error {number})")


def _answers(connection: "Connection") -> bool:
    from guestagent_mariadb.client import Error

    try:
        connection.ping(reconnect=False)
    except Error:
        return False
    return True


def _close(connection: "Connection") -> None:
    from guestagent_mariadb.client import Error

    with contextlib.suppress(Error, OSError):
        connection.close()
