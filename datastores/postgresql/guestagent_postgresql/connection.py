"""The one place where the agent connects to the server and hears its errors."""

import contextlib
import functools
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guestagent.capabilities.paging import Page
from guestagent.contract.errors import DatastoreDown, DatastoreError, GuestAgentError, InvalidValue
from guestagent_postgresql.identifiers import quoted

if TYPE_CHECKING:
    from pg8000.native import Connection

    from guestagent.capabilities.idle import IdleConnection

Row = list[Any]
Refusals = Mapping[str, Callable[[str], GuestAgentError]]
"""What an error of the server means to a caller: by its SQLSTATE, made from its words."""
Ask = Callable[[str], list[Row]]

DATASTORE = "PostgreSQL"
"""What error sentences call the server."""
SUPERUSER = "postgres"
"""The role that every data directory begins with; the agent works as it only to make its own."""
DATABASE = "postgres"
"""The database that every data directory begins with."""

LOCK_WAIT_SECONDS = 50
SLACK_SECONDS = 1
"""So much longer than the server, the agent waits for the end of a statement: a server that is frozen ends none."""

SESSION: Mapping[str, str] = {
    # Whatever the user configured for everybody, the agent's own statements mean the same.
    "search_path": "pg_catalog",
    "standard_conforming_strings": "on",
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "read committed",
    "row_security": "off",
    "lc_messages": "C",
    "lock_timeout": str(LOCK_WAIT_SECONDS * 1000),
    # The user's log is about the user's statements.
    "log_statement": "none",
    "log_duration": "off",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_min_error_statement": "panic",
    "log_min_messages": "fatal",
    "log_transaction_sample_rate": "0",
}
"""The settings of every session of the agent."""

_GONE = ("08", "57P")
_NOT_LET_IN = ("28", "53300")
_GIVEN_UP = "57014"
_NO_SUCH_ROLE, _NO_RIGHT = "28000", "42501"
_VERIFIER = re.compile(r"SCRAM-SHA-256\$\S+")


class Connections:
    """Connections to the server as the agent's role, one to a thread at a time.

    The server knows the agent by its account. Where the agent's role is missing, as in data that came from
    elsewhere, the agent makes it. Safe to use from several threads.

    :param role: the agent's; letters, digits and underscores.
    :param socket: the server's.
    :param timeout: gives the seconds until a statement is given up.
    """

    def __init__(self, role: str, socket: Path, timeout: Callable[[], int]) -> None:
        self._role = role
        self._socket = socket
        self._timeout = timeout

    @functools.cached_property
    def _idle(self) -> "IdleConnection[Connection]":
        # Most agents are idle, and ask the server nothing before it is there.
        from guestagent.capabilities.idle import IdleConnection

        return IdleConnection(self._open, _answers, _close)

    def execute(
        self, subject: str, statement: str, refusals: Refusals | None = None, database: str | None = None
    ) -> None:
        """Execute a statement, committed at once.

        :param subject: what it does, for an error's sentence.
        :param statement: with names and texts from :mod:`guestagent_postgresql.identifiers`.
        :param refusals: what errors to expect.
        :param database: where; none: it does not matter.
        :raises DatastoreDown: the server does not answer, or not in time.
        :raises DatastoreError: it refused, in its own words, and ``refusals`` says nothing else.
        """
        if "\0" in statement:
            raise InvalidValue(subject="The request", problem="a text in it has a NUL character")
        with self._reporting(subject, refusals or {}), self._lent(database) as connection:
            connection.run(statement)

    def fetch(self, subject: str, query: str, **values: object) -> list[Row]:
        """All rows that a query gives; arguments and errors as for :meth:`execute`.

        :param query: with ``:name`` for every value.
        """
        with self._reporting(subject, {}), self._idle.borrowed() as connection:
            return connection.run(query, **values) or []

    def fetch_page(self, subject: str, listed: str, hidden: Collection[str], page: Page) -> list[Row]:
        """The rows of a list that a page needs; errors as for :meth:`execute`.

        :param listed: the query of the list, with a column ``name`` that sorts as bytes.
        :param hidden: the names that are not on it.
        """
        return self.fetch(
            subject,
            f"SELECT * FROM ({listed}) l WHERE name <> ALL(CAST(:hidden AS text[]))"  # noqa: S608  it is our own text
            " AND (name > :marker OR CAST(:at AS boolean) AND name = :marker)"
            " ORDER BY name LIMIT CAST(:rows AS bigint)",
            hidden=list(hidden),
            marker=sendable(page.marker),
            at=page.at_marker,
            rows=page.rows,
        )

    @contextlib.contextmanager
    def session(self, subject: str, database: str | None = None) -> Iterator[Ask]:
        """One session for the questions of a block; errors and ``database`` as for :meth:`execute`."""
        with self._reporting(subject, {}), self._lent(database) as connection:
            yield lambda question: connection.run(question) or []

    def check(self, settings: Mapping[str, str] | None = None) -> None:
        """See that the server lets the agent in now, whatever is connected already; errors as for :meth:`execute`.

        :param settings: of the session, beside those of every session.
        """
        with self._reporting("Connecting", {}):
            _close(self._open(settings=settings))

    def close(self) -> None:
        """Close the idle connection, as before the server stops."""
        self._idle.close()

    @contextlib.contextmanager
    def _lent(self, database: str | None) -> "Iterator[Connection]":
        if database is None:
            with self._idle.borrowed() as connection:
                yield connection
            return
        connection = self._open(database)
        try:
            yield connection
        finally:
            _close(connection)

    def _open(self, database: str = DATABASE, settings: Mapping[str, str] | None = None) -> "Connection":
        from pg8000.exceptions import DatabaseError

        try:
            return self._connect(self._role, database, {**self._session(), **(settings or {})})
        except DatabaseError as error:
            if _state(error) not in (_NO_SUCH_ROLE, _NO_RIGHT):
                raise
        self._make_role()
        return self._connect(self._role, database, self._session())

    def _make_role(self) -> None:
        connection = self._connect(SUPERUSER, DATABASE, self._session())
        try:
            known = connection.run("SELECT 1 FROM pg_roles WHERE rolname = :role", role=self._role)
            verb = "ALTER" if known else "CREATE"
            connection.run(f"{verb} ROLE {quoted(self._role)} LOGIN SUPERUSER CONNECTION LIMIT -1")
        finally:
            _close(connection)

    def _session(self) -> dict[str, str]:
        return {**SESSION, "statement_timeout": str(self._timeout() * 1000)}

    def _connect(self, role: str, database: str, settings: dict[str, str]) -> "Connection":
        from pg8000.exceptions import InterfaceError
        from pg8000.native import Connection

        try:
            return Connection(
                role,
                database=database,
                unix_sock=str(self._socket),
                timeout=self._timeout() + SLACK_SECONDS,
                tcp_keepalive=False,
                application_name="guestagent",
                startup_params=settings,
            )
        except InterfaceError as error:
            raise _refusal(error) or error from None

    @contextlib.contextmanager
    def _reporting(self, subject: str, refusals: Refusals) -> Iterator[None]:
        from pg8000.exceptions import Error

        try:
            yield
        except UnicodeEncodeError:
            raise InvalidValue(subject="The request", problem="a name in it is no valid Unicode text") from None
        except (Error, OSError) as error:
            raise self._meaning(error, subject, refusals) from None

    def _meaning(self, error: Exception, subject: str, refusals: Refusals) -> GuestAgentError:
        state, words = _state(error), _words(error)
        if state in refusals:
            return refusals[state](words)
        if state == _GIVEN_UP or isinstance(error, TimeoutError):
            problem = f"no answer within {self._timeout()} s; what was asked was given up"
            return DatastoreDown(datastore=DATASTORE, problem=problem)
        if not state or state.startswith(_GONE):
            return DatastoreDown(datastore=DATASTORE, problem=words)
        if state.startswith(_NOT_LET_IN):
            return DatastoreDown(datastore=DATASTORE, problem=f"it did not let the agent in: {words}")
        return DatastoreError(subject=subject, problem=f"{words} (SQLSTATE {state})")


def sendable(text: str) -> str:
    """The text without what the server cannot be sent, and no name has."""
    return text.partition("\0")[0]


def _facts(error: Exception) -> Mapping[str, str]:
    """The fields of an error that the server has reported, see the protocol's "Error and Notice Message Fields"."""
    return error.args[0] if error.args and isinstance(error.args[0], dict) else {}


def _refusal(error: BaseException) -> Exception | None:
    """Why the server has hung up, where the library could not say goodbye to it and only tells that."""
    from pg8000.exceptions import DatabaseError

    before = error.__context__
    if before is None or isinstance(before, DatabaseError):
        return before
    return _refusal(before)


def _state(error: Exception) -> str:
    return _facts(error).get("C", "")


def _words(error: Exception) -> str:
    facts = _facts(error)
    told = [facts[field] for field in "MD" if field in facts] or [str(error)]
    if isinstance(error.__cause__, OSError):
        told.append(str(error.__cause__))
    return _VERIFIER.sub("***", ": ".join(told))


def _answers(connection: "Connection") -> bool:
    from pg8000.exceptions import Error

    try:
        connection.run("SELECT 1")
    except TimeoutError:
        raise
    except (Error, OSError):
        return False
    return True


def _close(connection: "Connection") -> None:
    from pg8000.exceptions import Error

    with contextlib.suppress(Error, OSError):
        connection.close()
