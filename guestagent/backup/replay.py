"""Making the changes of archived logs once more on a restored backup, until a point."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from oslo_config import cfg

from guestagent.backup import reader, settings
from guestagent.backup.archive import BaseArchiveStrategy, Piece, Point
from guestagent.backup.log_store import LogStore, name_of
from guestagent.backup.manifest import Manifest, ManifestInvalid
from guestagent.backup.window import LogChart
from guestagent.contract.errors import InvalidValue
from guestagent.system import files


class Replay(msgspec.Struct, frozen=True):
    """A way from a backup to a point that is known to be whole.

    :ivar logs: in their order.
    """

    strategy: BaseArchiveStrategy
    store: LogStore
    backup: Manifest
    logs: Sequence[Manifest]
    point: Point

    @property
    def size(self) -> int:
        """The bytes of all logs."""
        return sum(one.size for one in self.logs)

    def carry_out(self, conf: cfg.ConfigOpts, target: Path) -> None:
        """Bring restored data to the point; only one log is on the disk at a time.

        :param target: the data directory, on which no server runs.
        :raises GuestAgentError: it cannot be done; what is in the directory is of no use.
        """
        if self.logs:
            with self.strategy.scratch("logs") as directory:
                pieces = self._pieces(conf, directory)
                self.strategy.replay(self.backup.positions, pieces, self.point, target)

    def _pieces(self, conf: cfg.ConfigOpts, directory: Path) -> Iterator[Piece]:
        how, account, store = settings.read(conf), self.strategy.server.account, self.store
        for one in self.logs:
            name = name_of(one)
            path = directory / name
            with files.replacing(path, owner=account, group=account) as stream:
                for chunk in reader.read(one, store.storage, store.context, store.container, how):
                    stream.write(chunk)
            yield Piece(name, path, last=one is self.logs[-1])
            path.unlink(missing_ok=True)


def find(strategy: BaseArchiveStrategy, store: LogStore, backup: Manifest, point: Point) -> Replay:
    """The way from a backup to a point; nothing is changed for it.

    :raises InvalidValue: the point is none, or the logs are of another datastore.
    :raises OutsideWindow: there is no way.
    :raises ManifestInvalid: a log needs a newer image.
    """
    strategy.check(point)
    way = LogChart(strategy, store).way(backup, point)
    for one in way:
        if one.datastore != strategy.server.datastore:
            problem = f"it is of {one.datastore!r}, and this guest's datastore is {strategy.server.datastore!r}"
            raise InvalidValue(subject=f"The log {one.id!r}", problem=problem)
        if one.strategy_version > strategy.version:
            problem = f"its strategy has version {one.strategy_version}, this one {strategy.version}; use a newer image"
            raise ManifestInvalid(backup=one.id, problem=problem)
    return Replay(strategy, store, backup, way, point)
