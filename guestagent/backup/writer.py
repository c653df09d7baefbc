"""The way of a backup into a store: the stages put together."""

import concurrent.futures
import contextlib
import functools
import hashlib
import itertools
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from oslo_log import log

from guestagent.backup import compression, encryption, manifest, segments
from guestagent.backup.base import AtTheServer, Source, Taken
from guestagent.backup.draft import Draft
from guestagent.backup.lanes import Lanes
from guestagent.backup.manifest import Manifest
from guestagent.backup.patience import Patience
from guestagent.backup.progress import Meter, Progress, silent
from guestagent.backup.segments import Shelf
from guestagent.backup.settings import Settings
from guestagent.backup.throttle import Throttle
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import GuestAgentError
from guestagent.storage.base import BaseStorage
from guestagent.system import memory, waiting

LOG = log.getLogger(__name__)

PIECE: Final = 1 << 17
"""Bytes that a source is asked for at a time."""


class Written(msgspec.Struct, frozen=True):
    """A backup whose segments are in the store; it lacks its manifest.

    :ivar size: of the stream as the strategy gave it, in bytes.
    :ivar sha256: of that stream, hexadecimal; none: it has checksums of its own.
    :ivar stored: of all segments.
    :ivar segments: in their order.
    :ivar compression: its name in the manifest.
    :ivar encryption: none: it is not encrypted.
    :ivar taken: what the strategy knew at the end.
    """

    size: int
    sha256: str | None
    stored: int
    segments: list[manifest.Segment]
    compression: str
    encryption: manifest.Encryption | None
    taken: Taken

    def as_manifest(
        self,
        backup_id: str,
        instance_id: str,
        strategy_name: str,
        strategy: AtTheServer,
        kind: str,
        started: float,
        parent: str | None = None,
        parent_location: str | None = None,
    ) -> Manifest:
        """The manifest that it lacks; for the arguments see :class:`Manifest`.

        :param strategy_name: as the image declares it.
        """
        return Manifest(
            schema=manifest.SCHEMA,
            id=backup_id,
            instance_id=instance_id,
            strategy=strategy_name,
            strategy_version=strategy.version,
            datastore=strategy.server.datastore,
            datastore_version=strategy.server.version,
            kind=kind,
            parent=parent,
            parent_location=parent_location,
            started=started,
            ended=self.taken.ended,
            size=self.size,
            sha256=self.sha256,
            stored=self.stored,
            compression=self.compression,
            encryption=self.encryption,
            segments=self.segments,
            positions=self.taken.positions,
        )


def write(
    source: Source,
    storage: BaseStorage,
    context: RequestContext,
    container: str,
    backup_id: str,
    settings: Settings,
    progress: Progress = silent,
    expected: int | None = None,
    draft: Draft | None = None,
    *,
    is_checksummed: bool = False,
) -> Written:
    """Read a source to its end and keep it as segments ``<backup id>/00000001`` and so on.

    The source is read, finished, hashed and the progress told in the thread that calls. When anything fails, what was
    uploaded is deleted before the error goes on.

    :param expected: the bytes that the source will have, roughly; none: nobody knows.
    :param draft: what an earlier worker has left of it, of the same settings; none: nothing, and nothing is kept.
    :param is_checksummed: the source has checksums of its own in it, and is not hashed.
    :raises NotRepeated: the stream is not the one that the draft was begun with.
    :raises StorageError: the store refused for longer than ``[backup]`` has patience.
    :raises GuestAgentError: the source failed, the operation was cancelled, or a key is missing.
    """
    shelf = Shelf(storage, context, container, backup_id, Throttle(settings.bandwidth_limit), settings.patience)
    ahead = settings.threads + compression.AHEAD
    sha256 = None if is_checksummed else hashlib.sha256()
    stream = _Stream(source, Meter(progress, expected), Throttle(settings.io_limit), ahead, sha256)
    how = draft.recipe.encryption if draft else encryption.begin(settings.algorithm, settings.keys)
    uploads: _Uploads | None = None
    try:
        with (
            # What the next worker goes on with has to be durable at once.
            contextlib.nullcontext() if draft else storage.batch(container, backup_id),
            Lanes(settings.parallel, "upload") as carriers,
            Lanes(settings.threads, "compress", compression.NICE) as packers,
        ):
            uploads = _Uploads(shelf, carriers, settings, draft)
            chunks: Iterator[bytes] = compression.compress(
                iter(stream), settings.compression, settings.level, packers, ahead
            )
            if how is not None and settings.keys is not None:
                chunks = encryption.encrypt(chunks, how, settings.keys, backup_id)
            for piece in segments.split(chunks, uploads.room):
                uploads.add(piece)
            kept = uploads.finish()
    except BaseException:
        if uploads is not None:
            _remove(shelf, uploads.names)
        raise
    taken = stream.end()
    stored = sum(segment.size for segment in kept)
    hashed = sha256.hexdigest() if sha256 else None
    return Written(stream.meter.done, hashed, stored, kept, settings.compression, how, taken)


class _Stream:
    """The source in blocks, which are counted and hashed as they pass.

    :param held: so many blocks are made; whoever asks for one more is done with the first of them.
    :param sha256: takes all of it; none: nothing does.
    """

    def __init__(
        self, source: Source, meter: Meter, throttle: Throttle, held: int, sha256: "hashlib._Hash | None"
    ) -> None:
        self.meter = meter
        self._sha256 = sha256
        self._source = source
        self._throttle = throttle
        # Used again and again: pieces of many sizes come and go between blocks, and the allocator, given back a block,
        # would not find room for the next one there.
        self._blocks = itertools.cycle([bytearray(compression.BLOCK) for _ in range(held)])
        self._taken: Taken | None = None

    def __iter__(self) -> Iterator[bytearray]:
        while block := self._block():
            waiting.check()
            self._throttle.take(len(block))
            if self._sha256:
                self._sha256.update(block)
            self.meter.count(len(block))
            yield block
            del block
        self._taken = self._source.finish()

    def end(self) -> Taken:
        """What the source knew at its end, which was reached."""
        assert self._taken is not None  # noqa: S101  the loop above ends in no other way
        self.meter.end()
        return self._taken

    def _block(self) -> bytearray:
        """The next bytes of the source, a whole block of them but at the end."""
        block = next(self._blocks)
        used = 0
        # What a program gives comes in pieces of any size.
        while used < len(block) and (piece := self._source.read(min(PIECE, len(block) - used))):
            block[used : used + len(piece)] = piece
            used += len(piece)
        return block if used == len(block) else block[:used]


class _Uploads:
    """Segments on their way, some at a time.

    :ivar names: of those that may be in the store.
    """

    def __init__(self, shelf: Shelf, lanes: Lanes, settings: Settings, draft: Draft | None) -> None:
        self.names: list[str] = []
        self._shelf = shelf
        self._lanes = lanes
        self._draft = draft
        self._size = settings.segment_size
        self._held = segments.held(settings.parallel)
        self._kept: list[manifest.Segment] = []
        self._pending: list[tuple[concurrent.futures.Future[manifest.Segment], bytearray]] = []
        self._free: list[bytearray] = []
        self._room = bytearray()

    def room(self) -> bytearray:
        """Memory for the next one, when there is some.

        :raises StorageError: one that was begun before has failed.
        """
        self._wait_until_fewer_than(self._held)
        # Memory that is used again and again, because an allocator that is given back pieces keeps too many.
        self._room = self._free.pop() if self._free else bytearray(self._size)
        # Those that came and went while the last one was filled.
        memory.give_back()
        return self._room

    def add(self, content: memoryview) -> None:
        """Begin with one, which lies in the room that was asked for last.

        :raises NotRepeated: an earlier worker has begun with another one.
        """
        number = len(self.names) + 1
        self.names.append(segments.name_of(number))
        is_begun = self._draft is not None and self._draft.begin(hashlib.sha256(content).hexdigest(), number)
        put = self._shelf.put_missing if is_begun else self._shelf.put
        self._pending.append((self._lanes.submit(put, (self.names[-1], content)), self._room))

    def finish(self) -> list[manifest.Segment]:
        """Wait for all of them.

        :raises NotRepeated: an earlier worker has begun with more.
        :raises StorageError: one has failed.
        """
        if self._draft is not None:
            self._draft.end(len(self.names))
        self._wait_until_fewer_than(1)
        return sorted(self._kept, key=lambda segment: segment.name)

    def _wait_until_fewer_than(self, most: int) -> None:
        while True:
            pending = []
            for future, buffer in self._pending:
                if future.done():
                    self._kept.append(future.result())
                    self._free.append(buffer)
                else:
                    pending.append((future, buffer))
            self._pending = pending
            if len(pending) < most:
                return
            self._lanes.wait([future for future, _ in pending])


def _remove(shelf: Shelf, names: Iterable[str]) -> None:
    """Remove segments of a backup that will not be; the first one that cannot be removed ends it."""
    hasty = Patience(shelf.patience.retries, seconds=0)
    with waiting.shielded():
        for name in names:
            try:
                hasty.try_to(functools.partial(shelf.delete, name))
            except GuestAgentError as error:
                # What has failed is the error that counts; a store that refuses one refuses the others too.
                LOG.warning("What backup '%s' has left in %s stays there: %s", shelf.backup, shelf.container, error)
                return
