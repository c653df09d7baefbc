"""What every backup strategy derives from: it knows how its database becomes a stream, and nothing of stores."""

import abc
import contextlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

import msgspec
from oslo_config import cfg

from guestagent.contract.errors import GuestAgentError, NotSupported
from guestagent.system import files

POSITION_FILE: Final = "guestagent-position.json"
"""Lies in a restored data directory and says where the data stand, as the manifest has it."""


class ChainBroken(GuestAgentError):
    """Backups do not build on each other as they should; nothing was made or restored."""

    id = "backup.chain"
    sentence = "The chain of backups is broken: {problem}."


class Server(msgspec.Struct, frozen=True):
    """The database server as a strategy meets it; the datastore's manager fills it in.

    :ivar datastore: the name that the image declares.
    :ivar version: of the server's program, ``10.11.6``.
    :ivar data_dir: its data.
    :ivar scratch_dir: on the data's volume, for what a strategy needs meanwhile; empty, and removed afterwards.
    :ivar account: whom it runs as; none: the agent's own.
    :ivar credentials: a file of mode 0600, readable for the account, in the form that the database's own programs
        read, that lets them in as the administrator; none: the server is not there, as at a restore.
    :ivar kept_dir: of the account, for what the stream of a repeatable strategy is made of. What is in there was left
        by a worker that died in the same backup, and the stream must be made of that again; it is empty where the
        backup begins, and removed when it has ended. None: nothing can be kept.
    :ivar configuration: the file that the server's program is started with, readable for the account; none: there is
        none yet.
    :ivar lasting_dir: beside the data and on their volume, for what a strategy needs again in a later backup of the
        same instance. The strategy makes it, and sees that it does not grow. What was in there may be gone, as with a
        volume that was replaced. None: nothing lasts.
    """

    datastore: str
    version: str
    data_dir: Path
    scratch_dir: Path
    account: str | None = None
    credentials: Path | None = None
    kept_dir: Path | None = None
    configuration: Path | None = None
    lasting_dir: Path | None = None


class Taken(msgspec.Struct, frozen=True):
    """What a strategy knows of a backup when its stream has ended well.

    :ivar positions: where the data stand, in types that JSON has: ``lsn``, ``gtid``, ``binlog``; what a later
        incremental backup or a replica needs.
    :ivar ended: seconds since the epoch; the data are those of this moment.
    """

    positions: dict[str, Any]
    ended: float


class Source(Protocol):
    """The stream of one backup that is being made."""

    def read(self, size: int) -> bytes:
        """The next bytes, at most so many; empty: the end.

        :raises GuestAgentError: the program that makes it has failed.
        """

    def finish(self) -> Taken:
        """After the end: see that it was a good one.

        :raises GuestAgentError: it was not; what was read is no backup.
        """


class Stage(msgspec.Struct, frozen=True):
    """One backup of a chain at a restore.

    :ivar chunks: its stream as the strategy had given it, verified as it is read.
    :ivar positions: those of its :class:`Taken`; empty: nobody knows them, and the stream itself must say.
    :ivar incremental: it builds on the one before it.
    """

    chunks: Iterator[bytes]
    positions: dict[str, Any]
    incremental: bool


class AtTheServer:
    """What works on a server's machine as the server's account.

    :cvar datastores: the names of the datastores whose servers it knows.
    :cvar version: of what it makes; it grows when what older ones have made could not be used any more.
    :param conf: all options; a strategy reads its own group.
    :param server: whom it is about.
    """

    datastores: ClassVar[frozenset[str]] = frozenset()
    version: ClassVar[int] = 1

    def __init__(self, conf: cfg.ConfigOpts, server: Server) -> None:
        self.conf = conf
        self.server = server

    @contextlib.contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """An empty directory of the server's account below ``scratch_dir``, as long as the block lasts."""
        made = self.server.scratch_dir / name
        # A worker that was killed could not remove it.
        files.remove_tree(made)
        if not self.server.scratch_dir.exists():
            self.ensure(self.server.scratch_dir)
        self.ensure(made)
        try:
            yield made
        finally:
            files.remove_tree(made)

    def ensure(self, directory: Path) -> None:
        """Make a directory, if it is missing, that only the server's account can look into."""
        files.ensure_directory(directory, mode=0o700, owner=self.server.account, group=self.server.account)

    def note_positions(self, positions: dict[str, Any], target: Path) -> None:
        """Leave :data:`POSITION_FILE` in a data directory, for a replica that goes on from there."""
        content = msgspec.json.format(msgspec.json.encode(positions), indent=1)
        account = self.server.account
        files.write(target / POSITION_FILE, content, mode=0o600, owner=account, group=account)


class BaseBackupStrategy(AtTheServer, abc.ABC):
    """A way to back up some datastores, found through the entry-point group ``guestagent.backup``.

    It runs in a short-lived process of its own, beside the agent. What is done with the stream (compressing,
    encrypting, splitting, keeping) is the runtime's.

    :cvar incremental: a backup can build on another one, with a server that offers it; :meth:`backup` refuses a parent
        with others.
    :cvar repeatable: its stream can be made again, byte for byte, by a worker that comes after one that died, as that
        of a file which stays as it is: such a backup goes on with what is in the store. See ``Server.kept_dir``. A
        stream that turns out to be another one is noticed, and the backup begins anew.
    :cvar foreign: the kinds of streams that it can restore too when Trove's own agent kept them, which calls them so
        in the names of its objects: ``xbstream``. Their :attr:`Stage.positions` are empty.
    :param conf: all options; a strategy reads its own group.
    :param server: whom it is about.
    """

    incremental: ClassVar[bool] = False
    repeatable: ClassVar[bool] = False
    foreign: ClassVar[frozenset[str]] = frozenset()

    @abc.abstractmethod
    def backup(self, parent: dict[str, Any] | None) -> AbstractContextManager[Source]:
        """Make a backup of the running server; leaving the block early ends it and leaves nothing behind.

        :param parent: the positions of the backup that it builds on; none: it stands by itself.
        """

    @abc.abstractmethod
    def restore(self, stages: Sequence[Stage], target: Path) -> None:
        """Make a data directory, ready for a server to start on, from a chain.

        :param stages: the one that stands by itself first; each stream is read once and in this order.
        :param target: an empty directory of the server's account; on an error it is thrown away.
        :raises GuestAgentError: it cannot be done.
        """

    def estimate(self) -> int | None:
        """The bytes that a stream will have, roughly, for a percentage; none: it cannot be known."""
        return None

    def is_checksummed(self) -> bool:
        """Whether the stream has checksums in it that the server made of all that it gave, and a restore compares them.

        The runtime then makes none of its own over the same bytes. What is stored has one in any case.
        """
        return False

    def needed(self, streams: Sequence[int]) -> int:
        """The bytes of disk that a restore of a chain takes at most.

        :param streams: the bytes of each of its streams.
        """
        return sum(streams)

    def refuse_incremental(self) -> None:
        """Say that a backup of this strategy stands by itself.

        :raises NotSupported: always.
        """
        raise NotSupported(operation="an incremental backup", datastore=self.server.datastore)
