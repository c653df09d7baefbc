"""The one place where the agent connects to the server and hears its errors."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from guestagent.capabilities.idle import IdleConnection
from guestagent.contract.errors import DatastoreDown, DatastoreError, GuestAgentError, InvalidValue
from guestagent_redis.administrator import Administrator
from guestagent_redis.resp import Connection, Refused, Word

_NOT_LET_IN = frozenset({"NOAUTH", "WRONGPASS", "NOPERM"})
_NOT_NOW = frozenset({"LOADING", "BUSY", "MASTERDOWN"})
FULL = "max number of clients reached"


class Client:
    """Asks the server as the administrator, one thread over one connection at a time.

    One idle connection is kept, so that the agent gets in while users hold all the others. Safe to use from several
    threads.

    :param timeout: gives the seconds until a command is given up.
    """

    def __init__(self, administrator: Administrator, timeout: Callable[[], int]) -> None:
        self._administrator = administrator
        self._timeout = timeout
        self._idle: IdleConnection[Connection] = IdleConnection(self._open, _answers, Connection.close)

    def ask(self, subject: str, *words: Word) -> Any:
        """The reply to a command: a text, a number, a list of such, or none.

        :param subject: what it does, for an error's sentence.
        :raises DatastoreDown: the server does not answer, or not in time: it may yet do it.
        :raises DatastoreError: it refused, in its own words.
        """
        with self._reporting(subject), self._idle.borrowed() as connection:
            return connection.call(*words)

    def refusal(self, *words: Word) -> Refused | None:
        """Why the server refuses a command; none: it has carried it out.

        :raises DatastoreDown: as :meth:`ask`.
        """
        with self._reporting("The command"), self._idle.borrowed() as connection:
            try:
                connection.call(*words)
            except Refused as refused:
                if refused.code in _NOT_NOW:
                    raise
                return refused
        return None

    def info(self, section: str) -> dict[str, str]:
        """A section of what the server knows of itself; errors as for :meth:`ask`."""
        text = str(self.ask("Asking the server about itself", "INFO", section))
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def settings(self, *patterns: str) -> dict[str, str]:
        """The settings in force whose names match one of the patterns; errors as for :meth:`ask`."""
        found = self.ask("Reading the server's settings", "CONFIG", "GET", *patterns)
        return dict(zip(found[::2], found[1::2], strict=True))

    def set(self, subject: str, values: Mapping[str, Word]) -> None:
        """Change settings, all of them or none; errors as for :meth:`ask`."""
        self.ask(subject, "CONFIG", "SET", *(word for pair in values.items() for word in pair))

    def close(self) -> None:
        """Close the idle connection, as before the server stops."""
        self._idle.close()

    @contextlib.contextmanager
    def _reporting(self, subject: str) -> Iterator[None]:
        try:
            yield
        except UnicodeEncodeError:
            raise InvalidValue(subject="The request", problem="a name in it is no valid Unicode text") from None
        except Refused as refused:
            raise self._meaning(refused, subject) from None
        except TimeoutError:
            problem = f"no answer to a command within {self._timeout()} s; it may yet be carried out"
            raise DatastoreDown(datastore=self._administrator.datastore, problem=problem) from None
        except OSError as error:
            raise DatastoreDown(datastore=self._administrator.datastore, problem=error.strerror or error) from None

    def _open(self) -> Connection:
        connection = Connection(self._administrator.socket, self._timeout())
        try:
            connection.call("AUTH", self._administrator.name, self._administrator.password())
        except BaseException:
            connection.close()
            raise
        return connection

    def _meaning(self, refused: Refused, subject: str) -> GuestAgentError:
        if refused.code in _NOT_LET_IN or refused.words == FULL:
            problem = f"it did not let the agent in: {refused}"
            return DatastoreDown(datastore=self._administrator.datastore, problem=problem)
        if refused.code in _NOT_NOW:
            return DatastoreDown(datastore=self._administrator.datastore, problem=refused.words)
        return DatastoreError(subject=subject, problem=refused.words if refused.code == "ERR" else str(refused))


def _answers(connection: Connection) -> bool:
    try:
        connection.call("PING")
    except OSError:
        connection.close()
        return False
    except Refused:
        pass  # it is there, and says what is wrong to whoever asks next
    return True
