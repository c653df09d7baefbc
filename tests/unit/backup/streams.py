"""Streams to back up, a store that fails, and the two ways through both."""

import random
import threading
from collections.abc import Iterable, Iterator, Mapping

from oslo_config import cfg

from guestagent.backup import manifest, reader, writer
from guestagent.backup.base import Taken
from guestagent.backup.keyring import Keyring
from guestagent.backup.manifest import Manifest
from guestagent.backup.patience import Patience
from guestagent.backup.progress import silent
from guestagent.backup.settings import Settings
from guestagent.backup.writer import Written
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import GuestAgentError, StorageError
from guestagent.storage.local import LocalStorage

CONTEXT = RequestContext()
CONTAINER = "backups"
BACKUP = "5c97687d-cddb-4fe1-9f0a-1f343ab75dc6"
KEYS = Keyring({"first": bytes(range(32)), "second": b"2" * 32})
HASTY = Patience(retries=0, seconds=0)
SMALL = Settings(segment_size=1 << 16, patience=HASTY)
"""Many segments of little."""


class Text:
    """A source of bytes that were known before.

    :param most: bytes of one read.
    :param failure: is raised when it is finished.
    """

    def __init__(self, content: bytes, most: int = 1 << 30, failure: GuestAgentError | None = None) -> None:
        self.left = memoryview(content)
        self.most = most
        self.failure = failure
        self.finished = 0

    def read(self, size: int) -> bytes:
        taken = bytes(self.left[: min(size, self.most)])
        self.left = self.left[len(taken) :]
        return taken

    def finish(self) -> Taken:
        self.finished += 1
        if self.failure is not None:
            raise self.failure
        return Taken({"lsn": 17}, 1.5)


class Shaky(LocalStorage):
    """A store that refuses a number of times, in the middle of what it is asked.

    :ivar refusals: that are still to come.
    :ivar forgetful: it tells a size that is not that of what it was given.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf)
        self.refusals = 0
        self.forgetful = 0
        self.asked = 0
        self._lock = threading.Lock()

    def put(
        self,
        context: RequestContext,
        container: str,
        name: str,
        chunks: Iterable[bytes],
        metadata: Mapping[str, str] | None = None,
    ) -> int:
        size = super().put(context, container, name, self._shaken(chunks), metadata)
        with self._lock:
            self.forgetful -= 1
            return size if self.forgetful < 0 else size - 1

    def get(self, context: RequestContext, container: str, name: str) -> Iterator[bytes]:
        return self._shaken(super().get(context, container, name))

    def _shaken(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        with self._lock:
            self.asked += 1
            self.refusals -= 1
            refused = self.refusals >= 0
        for chunk in chunks:
            yield chunk[: len(chunk) // 2] if refused else chunk
            if refused:
                raise StorageError(subject="The store", problem="the network is away")


def rows(size: int, seed: int = 0) -> bytes:
    """What a database's files look like to a compressor: text, numbers, noise, and nothing."""
    chance = random.Random(seed)
    words = [chance.randbytes(4).hex().encode() for _ in range(500)]
    made = bytearray()
    while len(made) < size:
        made += len(made).to_bytes(8, "big") + b" ".join(chance.choices(words, k=12)) + chance.randbytes(30)
        if chance.random() < 0.05:
            made += bytes(chance.randrange(3000))
    return bytes(made[:size])


def write(storage: LocalStorage, content: bytes, settings: Settings = SMALL, **how: object) -> Written:
    """Keep a backup."""
    return writer.write(Text(content), storage, CONTEXT, CONTAINER, BACKUP, settings, **how)  # type: ignore[arg-type]


def manifest_of(written: Written) -> Manifest:
    """The manifest that belongs to it."""
    return Manifest(
        schema=manifest.SCHEMA,
        id=BACKUP,
        instance_id="i",
        strategy="s",
        strategy_version=1,
        datastore="d",
        datastore_version="1",
        kind=manifest.FULL,
        parent=None,
        parent_location=None,
        started=0.0,
        ended=written.taken.ended,
        **{field: getattr(written, field) for field in written.__struct_fields__ if field != "taken"},
    )


def read(storage: LocalStorage, found: Manifest, settings: Settings = SMALL, progress=silent) -> bytes:
    """A backup's stream to its end."""
    return b"".join(reader.read(found, storage, CONTEXT, CONTAINER, settings, progress))


def objects(storage: LocalStorage) -> dict[str, bytes]:
    """All that is in the store."""
    names = storage.list(CONTEXT, CONTAINER)
    return {name: b"".join(LocalStorage.get(storage, CONTEXT, CONTAINER, name)) for name in names}


def replace(storage: LocalStorage, name: str, content: bytes) -> None:
    """Put something else where an object of the backup was."""
    LocalStorage.put(storage, CONTEXT, CONTAINER, f"{BACKUP}/{name}", [content])


def pieces(content: bytes, size: int) -> list[bytes]:
    """The content in chunks."""
    return [content[start : start + size] for start in range(0, len(content), size)]
