"""The stored stream in pieces, each an object of its own, that is not believed before its checksum is."""

import functools
import hashlib
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Final

import msgspec

from guestagent.backup import manifest
from guestagent.backup.lanes import Lanes
from guestagent.backup.patience import Patience
from guestagent.backup.throttle import Throttle
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import GuestAgentError, NotFound, StorageError
from guestagent.storage.base import BaseStorage
from guestagent.system import waiting

CHUNK: Final = 1 << 18
"""Bytes that a store is given at a time."""
LARGEST: Final = 1 << 30
"""Bytes of a segment; what claims more would cost memory."""


class SegmentMissing(GuestAgentError):
    """A segment that the manifest names is not in the store."""

    id = "backup.segment-missing"
    sentence = (
        "Segment {segment} of backup '{backup}', which begins at byte {offset} of its stored stream, is not in the "
        "store; restore from another backup."
    )


class SegmentDamaged(GuestAgentError):
    """A segment is not what was stored."""

    id = "backup.segment-damaged"
    sentence = (
        "Segment {segment} of backup '{backup}', which begins at byte {offset} of its stored stream, is damaged: "
        "{problem}; restore from another backup."
    )


class Shelf(msgspec.Struct, frozen=True):
    """Where the segments of one backup are.

    :ivar throttle: of what goes there and comes from there.
    :ivar patience: with it.
    """

    storage: BaseStorage
    context: RequestContext
    container: str
    backup: str
    throttle: Throttle
    patience: Patience

    def put(self, item: tuple[str, memoryview]) -> manifest.Segment:
        """Keep a segment, which is a name and its content.

        :raises StorageError: it was refused for too long.
        """
        name, content = item
        path = self.path(name)

        def once() -> None:
            chunks = self.throttle.pass_on(_heeded(_cut(content)))
            kept = self.storage.put(self.context, self.container, path, chunks)
            if kept != len(content):
                problem = f"the store has {kept} bytes of it, not {len(content)}"
                raise StorageError(subject=f"Writing {self.container}/{path}", problem=problem)

        described = self._described(name, content)
        self.patience.try_to(once)
        return described

    def put_missing(self, item: tuple[str, memoryview]) -> manifest.Segment:
        """As :meth:`put`, for one that an earlier worker may have put; objects appear whole or not at all."""
        name, content = item
        try:
            size = self.patience.try_to(
                functools.partial(self.storage.size, self.context, self.container, self.path(name))
            )
        except NotFound:
            return self.put(item)
        return self._described(name, content) if size == len(content) else self.put(item)

    def get(self, begin: int, segment: manifest.Segment, buffer: bytearray) -> memoryview:
        """The content of a segment, verified.

        :param begin: where it begins in the stored stream.
        :param buffer: that it is read into; has room for it.
        :raises SegmentMissing: it is not there.
        :raises SegmentDamaged: it is another one; it was fetched twice to be sure.
        :raises StorageError: the store refused for too long.
        """
        fetch = functools.partial(self._fetched, begin, segment, memoryview(buffer))
        try:
            try:
                return self.patience.try_to(fetch)
            except SegmentDamaged:
                # It may have been the way.
                return self.patience.try_to(fetch)
        except NotFound:
            raise SegmentMissing(segment=segment.name, backup=self.backup, offset=begin) from None

    def delete(self, name: str) -> None:
        """Remove a segment, if it is there."""
        self.storage.delete(self.context, self.container, self.path(name))

    def path(self, name: str) -> str:
        """The name of a segment's object."""
        return f"{self.backup}/{name}"

    def _described(self, name: str, content: memoryview) -> manifest.Segment:
        sha256 = hashlib.sha256(content).hexdigest()
        # Costs a third of what the compression of its content did.
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest() if self.storage.knows_md5 else ""
        return manifest.Segment(name, len(content), sha256, md5)

    def _fetched(self, begin: int, segment: manifest.Segment, buffer: memoryview) -> memoryview:
        size = 0
        problem = None
        stored = self.storage.get(self.context, self.container, self.path(segment.name))
        try:
            for chunk in _heeded(self.throttle.pass_on(stored)):
                if size + len(chunk) > segment.size:
                    problem = f"it is longer than its {segment.size} bytes"
                    break
                buffer[size : size + len(chunk)] = chunk
                size += len(chunk)
        finally:
            if isinstance(stored, Generator):
                # Its file or its connection is not kept open by an error that somebody still looks at.
                stored.close()
        content = buffer[:size]
        if problem is None and size < segment.size:
            problem = f"it has {size} of its {segment.size} bytes"
        elif problem is None and hashlib.sha256(content).hexdigest() != segment.sha256:
            problem = "its SHA-256 is another one"
        if problem is not None:
            raise SegmentDamaged(segment=segment.name, backup=self.backup, offset=begin, problem=problem)
        return content


def held(parallel: int) -> int:
    """How many segments are in memory when so many are sent or fetched at a time: one of two is made meanwhile."""
    return max(2, parallel)


def split(chunks: Iterable[bytes], room: Callable[[], bytearray]) -> Iterator[memoryview]:
    """The stream in pieces, each of which fills a buffer but for the last.

    :param room: gives the next buffer, that holds what is yielded next.
    """
    piece: memoryview | None = None
    used = 0
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            if piece is None:
                piece, used = memoryview(room()), 0
            part = rest[: len(piece) - used]
            piece[used : used + len(part)] = part
            used += len(part)
            rest = rest[len(part) :]
            if used == len(piece):
                yield piece
                piece = None
    if piece is not None:
        yield piece[:used]


def name_of(number: int) -> str:
    """The name of a segment; the first has number 1."""
    return f"{number:08d}"


def where(stored: Sequence[manifest.Segment]) -> Callable[[int], str]:
    """Says in which segment a byte of the stored stream is."""

    def say(offset: int) -> str:
        left = offset
        for segment in stored:
            if left < segment.size:
                return f"byte {left} of segment {segment.name} (byte {offset} of its stored stream)"
            left -= segment.size
        return f"the end of its stored stream (byte {offset})"

    return say


def joined(shelf: Shelf, stored: Sequence[manifest.Segment], lanes: Lanes, parallel: int) -> Iterator[bytes]:
    """The stored stream of its segments; :func:`held` of them are in memory."""
    count = held(parallel)
    # Memory that is used again and again, because an allocator that is given back pieces keeps too many.
    buffers = [bytearray(max((segment.size for segment in stored), default=0)) for _ in range(count)]
    begins = itertools.accumulate((segment.size for segment in stored), initial=0)

    def get(item: tuple[int, manifest.Segment]) -> tuple[bytearray, memoryview]:
        # There are as many as there are segments that nobody has read yet.
        buffer = buffers.pop()
        return buffer, shelf.get(*item, buffer)

    for buffer, content in lanes.ordered(get, zip(begins, stored, strict=False), count):
        yield from _cut(content)
        buffers.append(buffer)


def _cut(content: memoryview) -> Iterator[bytes]:
    for start in range(0, len(content), CHUNK):
        yield bytes(content[start : start + CHUNK])


def _heeded(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks, unless what asks for them was interrupted."""
    for chunk in chunks:
        waiting.check()
        yield chunk
