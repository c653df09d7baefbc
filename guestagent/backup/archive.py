"""What every archive strategy derives from: it knows the logs of its database, and nothing of stores.

A log is what a server writes down of its changes, one file after another, so that they can be made once more on a
backup. What is done with a closed one (compressing, encrypting, keeping, finding gaps) is the runtime's.
"""

import abc
import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from guestagent.backup.base import AtTheServer
from guestagent.contract.errors import InvalidValue


class Log(msgspec.Struct, frozen=True):
    """A closed log, which nobody writes to any more.

    :ivar name: of it and, within its instance, of no other one for ever, whatever happens to the server; it becomes a
        part of an object's name, and may hold what a backup's id may.
    :ivar ends: the name of the log that goes on where this one ends.
    :ivar opened: seconds since the epoch; nothing in it was done before.
    :ivar closed: seconds since the epoch; all that was done before is in it or in those before it.
    :ivar size: bytes.
    :ivar positions: where it ends, in types that JSON has, as :attr:`guestagent.backup.base.Taken.positions`.
    :ivar path: the file, which the agent can read.
    """

    name: str
    ends: str
    opened: float
    closed: float
    size: int
    positions: dict[str, Any]
    path: Path


class Point(msgspec.Struct, frozen=True):
    """Until where changes are made once more; one of the two.

    :ivar time: seconds since the epoch; what was done then, or later, is left out.
    :ivar position: in the datastore's own terms; the change that it names is the last one that is made.
    """

    time: float | None = None
    position: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """A point as it is typed: a time of ISO 8601 with its zone, otherwise a position.

        :raises InvalidValue: a time that could be that of any zone.
        """
        try:
            moment = datetime.datetime.fromisoformat(text.strip())
        except ValueError:
            return cls(position=text.strip())
        if moment.tzinfo is None:
            problem = "it does not say of which zone; write it as 2025-11-26T14:05:00+00:00 or with a Z at its end"
            raise InvalidValue(subject=f"The time {text[:64]!r}", problem=problem)
        return cls(time=moment.timestamp())

    def __str__(self) -> str:
        return self.position if self.position is not None else moment(self.time)


def moment(seconds: float | None) -> str:
    """A time as :meth:`Point.parse` reads it."""
    return "-" if seconds is None else datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat()


class Piece(msgspec.Struct, frozen=True):
    """A log that was fetched for a replay, verified.

    :ivar path: readable for the server's account until the next piece is asked for; may be moved away.
    :ivar last: the point is in it, or at its end.
    """

    name: str
    path: Path
    last: bool


class BaseArchiveStrategy(AtTheServer, abc.ABC):
    """A way to archive and replay the logs of some datastores, found through the entry-point group
    ``guestagent.archive``.

    It runs in a short-lived process of its own, beside the agent and beside its operations.

    :param conf: all options; a strategy reads its own group.
    :param server: whom it is about.
    """

    @abc.abstractmethod
    def close(self) -> None:
        """Have the server begin a new log, if something is in the present one; repeating it is safe.

        :raises GuestAgentError: the server does not answer, or writes no log that could be archived.
        """

    @abc.abstractmethod
    def closed(self) -> Sequence[Log]:
        """The closed logs that the server still has, oldest first.

        :raises GuestAgentError: as :meth:`close`.
        """

    @abc.abstractmethod
    def release(self, logs: Sequence[Log]) -> None:
        """Let the server remove these, the oldest that it has; it may keep what somebody else still needs.

        :raises GuestAgentError: it could not be asked.
        """

    @abc.abstractmethod
    def check(self, point: Point) -> None:
        """See that a point is one that this datastore knows; nothing is asked of a server.

        :raises InvalidValue: it is none.
        """

    @abc.abstractmethod
    def begins_in(self, positions: dict[str, Any], name: str) -> bool:
        """Whether a backup that stands at these positions is followed by what is in the log of this name.

        There may be several of which that could be true by their names; the youngest that is older than the backup's
        end is taken.

        :raises InvalidValue: nothing can follow it, and why.
        """

    @abc.abstractmethod
    def has(self, positions: dict[str, Any], position: str) -> bool | None:
        """Whether data that stand at these positions, of a backup or the end of a log, have a position's change.

        None: only what is in the logs can tell, as with a name that somebody gave to a moment. Then all logs are
        replayed, and :meth:`replay` has to find it.
        """

    @abc.abstractmethod
    def spelled(self, positions: dict[str, Any]) -> str | None:
        """Positions in the form in which a person would ask for them; none: there is none."""

    @abc.abstractmethod
    def replay(self, positions: dict[str, Any], pieces: Iterator[Piece], point: Point, target: Path) -> None:
        """Make the changes of logs once more on restored data, up to a point and not one more.

        :param positions: of the backup that the data are of.
        :param pieces: follow each other; the first one holds the backup's place. There is at least one.
        :param target: the data directory, no server runs on it; on an error it is thrown away.
        :raises GuestAgentError: the point was not reached exactly.
        """
