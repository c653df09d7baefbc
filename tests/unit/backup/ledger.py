"""A toy that writes logs, an archive strategy that knows them, and the store that they go to.

What it does is to write down words. A log is a file of lines, each a second and a word; a position is a word.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from oslo_config import cfg

from guestagent.backup import manifest
from guestagent.backup.archive import BaseArchiveStrategy, Log, Piece, Point
from guestagent.backup.archiving import Archiving
from guestagent.backup.base import Server
from guestagent.backup.log_store import LogStore
from guestagent.backup.manifest import Manifest
from guestagent.backup.window import LogChart
from guestagent.contract.backups import ArchiveState
from guestagent.contract.errors import DatastoreDown, InvalidValue
from guestagent.storage.base import BaseStorage
from tests.unit.backup.streams import CONTAINER, CONTEXT

INSTANCE = "i"
UNKNOWN = "whatever"
"""A position of which the strategy cannot say where it is."""


class Writer:
    """The server.

    :ivar now: its clock.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.directory = directory
        self.now = 1000
        self.number = 0
        self.begin()

    @property
    def files(self) -> list[Path]:
        return sorted(self.directory.glob("log.*"))

    def begin(self) -> None:
        """Write to a new log from now on."""
        self.number += 1
        self.now += 1
        (self.directory / f"log.{self.number:03}").write_text(f"{self.now}\n")

    def say(self, *words: str) -> None:
        for word in words:
            self.now += 10
            with self.files[-1].open("a") as stream:
                stream.write(f"{self.now} {word}\n")

    def reset(self) -> None:
        """Forget everything, and begin with the first name again."""
        for path in self.files:
            path.unlink()
        self.number = 0
        self.begin()

    def backup(self, backup_id: str = "b", **changes: Any) -> Manifest:
        """What a manifest says of a backup that is made now."""
        made = Manifest(
            schema=manifest.SCHEMA,
            id=backup_id,
            instance_id=INSTANCE,
            strategy="s",
            strategy_version=1,
            datastore="ledger",
            datastore_version="1",
            kind=manifest.FULL,
            parent=None,
            parent_location=None,
            started=float(self.now),
            ended=float(self.now),
            size=0,
            sha256="",
            stored=0,
            compression="none",
            encryption=None,
            segments=[],
            positions={"file": self.files[-1].name, "words": self.words()},
        )
        return msgspec.structs.replace(made, **changes)

    def words(self) -> list[str]:
        """All that was said, as far as the server still knows."""
        return [line.split()[1] for path in self.files for line in path.read_text().splitlines()[1:]]


class Ledger(BaseArchiveStrategy):
    """Its strategy.

    :ivar is_down: the server does not answer.
    :ivar released: the names of logs that were let go.
    """

    datastores = frozenset({"ledger"})
    version = 3

    def __init__(self, conf: cfg.ConfigOpts, server: Server) -> None:
        super().__init__(conf, server)
        self.is_down = False
        self.released: list[str] = []
        self.writer: Writer

    def close(self) -> None:
        if self.is_down:
            raise DatastoreDown(datastore="ledger", problem="it sleeps")
        if len(self.writer.files[-1].read_text().splitlines()) > 1:
            self.writer.begin()

    def closed(self) -> Sequence[Log]:
        paths = self.writer.files
        opened = [int(path.read_text().split()[0]) for path in paths]
        names = [f"{path.name}-{begun}" for path, begun in zip(paths, opened, strict=True)]
        return [
            Log(
                names[at],
                names[at + 1],
                opened[at],
                opened[at + 1],
                path.stat().st_size,
                {"file": paths[at + 1].name, "words": _words(path)},
                path,
            )
            for at, path in enumerate(paths[:-1])
        ]

    def release(self, logs: Sequence[Log]) -> None:
        for one in logs:
            one.path.unlink()
            self.released.append(one.name)

    def check(self, point: Point) -> None:
        if point.position == "":
            raise InvalidValue(subject="The point", problem="it is no word")

    def begins_in(self, positions: dict[str, Any], name: str) -> bool:
        if "file" not in positions:
            raise InvalidValue(subject="The backup", problem="it stands nowhere")
        return name.rpartition("-")[0] == positions["file"]

    def has(self, positions: dict[str, Any], position: str) -> bool | None:
        if position == UNKNOWN:
            return None
        return position in positions["words"]

    def spelled(self, positions: dict[str, Any]) -> str | None:
        words = positions.get("words")
        return words[-1] if words else None

    def replay(self, positions: dict[str, Any], pieces: Iterator[Piece], point: Point, target: Path) -> None:
        done = list(positions["words"])
        for piece in pieces:
            for line in piece.path.read_text().splitlines()[1:]:
                second, word = line.split()
                if point.time is not None and int(second) >= point.time:
                    break
                if word not in done:
                    done.append(word)
                if word == point.position:
                    break
        (target / "words").write_text(" ".join(done))


@dataclasses.dataclass
class Desk:
    """A server, its strategy, and a store.

    :ivar backup: one that was made of it.
    """

    conf: cfg.ConfigOpts
    storage: BaseStorage
    writer: Writer
    strategy: Ledger
    store: LogStore
    state: ArchiveState = dataclasses.field(default_factory=ArchiveState)
    backup: Manifest | None = None

    def archive(self) -> ArchiveState:
        """One run."""
        self.state = Archiving(self.conf, "ledgers", self.strategy, self.store, self.state).run()
        return self.state

    def archived(self) -> list[str]:
        """The words that are in the store, in the order of the logs."""
        links = self.store.links()
        return [word for name in sorted(links) for word in self.store.find(name, links[name]).positions["words"]]

    def chart(self) -> LogChart:
        return LogChart(self.strategy, self.store)


def desk(conf: cfg.ConfigOpts, storage: BaseStorage, directory: Path) -> Desk:
    """A new one, whose server forgets nothing before it must."""
    writer = Writer(directory / "server")
    server = Server("ledger", "1", writer.directory, directory / "scratch")
    strategy = Ledger(conf, server)
    strategy.writer = writer
    conf.set_override("archive_purge_after", -1, "backup")
    conf.set_override("segment_size", 1 << 16, "backup")
    return Desk(conf, storage, writer, strategy, LogStore(storage, CONTEXT, CONTAINER, INSTANCE))


def _words(path: Path) -> list[str]:
    return [line.split()[1] for line in path.read_text().splitlines()[1:]]
