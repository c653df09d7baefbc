"""One connection to a server that is kept for the next request."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Connection = TypeVar("Connection")


class IdleConnection(Generic[Connection]):
    """Lends connections, one to a thread at a time, and keeps one that is given back. Safe to use from several threads.

    :param open: makes a connection, or raises.
    :param answers: whether an idle one is still of use; where it raises, a new one would be of none either.
    :param close: closes one; never raises.
    """

    def __init__(
        self,
        open: Callable[[], Connection],  # noqa: A002  it is what it does
        answers: Callable[[Connection], bool],
        close: Callable[[Connection], None],
    ) -> None:
        self._open = open
        self._answers = answers
        self._close = close
        self._lock = threading.Lock()
        self._idle: Connection | None = None

    @contextlib.contextmanager
    def borrowed(self) -> Iterator[Connection]:
        """A connection as long as the block lasts; when the block raises it is closed."""
        connection = self._take() or self._open()
        try:
            yield connection
        except BaseException:
            # What state it is in depends on the error; a new one costs less than being wrong.
            self._close(connection)
            raise
        self._give_back(connection)

    def close(self) -> None:
        """Close the idle one, as before the server stops."""
        connection = self._taken()
        if connection is not None:
            self._close(connection)

    def _take(self) -> Connection | None:
        connection = self._taken()
        if connection is None:
            return None
        try:
            if self._answers(connection):
                return connection
        except BaseException:
            self._close(connection)
            raise
        self._close(connection)
        return None

    def _taken(self) -> Connection | None:
        with self._lock:
            connection, self._idle = self._idle, None
        return connection

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            if self._idle is None:
                self._idle = connection
                return
        self._close(connection)
