"""The strategy: a dump that the server has just made, and its users, as one archive."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

from oslo_config import cfg

from guestagent.backup.base import BaseBackupStrategy, Server, Source, Stage, Taken
from guestagent.contract.errors import DatastoreDown, SystemFailure
from guestagent.system import files
from guestagent_redis_rdb import archive, options
from guestagent_redis_rdb.console import Console
from guestagent_redis_rdb.errors import StreamInvalid

DUMP, USERS = "dump.rdb", "users.acl"
"""The files of a data directory that are in a backup; the log of changes says the same as the dump."""
MOMENT = "moment"
"""The file beside them, while they are held, that says of which moment they are."""
SIGNS = (b"REDIS", b"VALKEY")
"""How a dump begins."""


class RedisRdb(BaseBackupStrategy):
    """A dump; see the package's README."""

    datastores = frozenset({"redis", "valkey"})
    version = 1
    repeatable = True

    def __init__(self, conf: cfg.ConfigOpts, server: Server) -> None:
        super().__init__(conf, server)
        options.register(conf)
        self.options = conf[options.GROUP]

    @contextlib.contextmanager
    def backup(self, parent: dict[str, Any] | None) -> Iterator[Source]:
        if parent is not None:
            self.refuse_incremental()
        if self.server.credentials is None:
            raise DatastoreDown(datastore=self.server.datastore, problem="there are no credentials for it")
        program = self.options.client_program or f"/usr/bin/{self.server.datastore}-cli"
        console = Console(program, self.server.credentials, self.server.account, self.server.datastore)
        kept = self.server.kept_dir
        with contextlib.nullcontext(kept) if kept else self.scratch(options.GROUP) as place:
            ended = _moment(place) or self._save(console, place)
            with contextlib.closing(archive.Writing([place / USERS, place / DUMP])) as stream:
                yield _Stream(stream, Taken({"server_version": self.server.version}, ended))

    def restore(self, stages: Sequence[Stage], target: Path) -> None:
        if len(stages) != 1 or stages[0].incremental:
            self.refuse_incremental()
        found = archive.unpack(iter(stages[0].chunks), (USERS, DUMP), lambda name: self._made(target / name))
        if DUMP not in found or not _is_dump(target / DUMP):
            raise StreamInvalid(problem="there is no dump in it")

    def estimate(self) -> int | None:
        """The size of the dump, which is there when the stream begins."""
        return (self.server.data_dir / DUMP).lstat().st_size

    def needed(self, streams: Sequence[int]) -> int:
        """Twice: a server that keeps a log of changes begins it with all data."""
        return 2 * sum(streams)

    def _save(self, console: Console, place: Path) -> float:
        """Have the server save its data, and hold what it has saved; the moment of which that is."""
        ended = console.save(self.options.save_timeout)
        for name in (USERS, DUMP):
            # The server replaces its files and never changes them, so that these stay what they are.
            _hold(self.server.data_dir / name, place / name)
        files.write(place / MOMENT, repr(ended))
        return ended

    def _made(self, path: Path) -> AbstractContextManager[BinaryIO]:
        return files.replacing(path, mode=0o600, owner=self.server.account, group=self.server.account)


class _Stream:
    """A backup that is being made."""

    def __init__(self, stream: archive.Writing, taken: Taken) -> None:
        self._stream = stream
        self._taken = taken

    def read(self, size: int) -> bytes:
        return self._stream.read(size)

    def finish(self) -> Taken:
        return self._taken


def _moment(place: Path) -> float | None:
    """When the data began to be saved that a worker held who has died since; none: there are none, or not all."""
    try:
        return float(files.read_part(place / MOMENT, 0, 64))
    except ValueError:
        return None


def _hold(path: Path, link: Path) -> None:
    try:
        link.unlink(missing_ok=True)
        os.link(path, link, follow_symlinks=False)
    except OSError as error:
        raise SystemFailure(subject=f"Holding {path}", problem=error.strerror) from None


def _is_dump(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(max(map(len, SIGNS))).startswith(SIGNS)
