"""The stored stream in pieces, each an object of its own, that is not believed before its checksum is."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from guestagent.backup import manifest
from guestagent.backup.lanes import Lanes
from guestagent.backup.patience import Patience
from guestagent.backup.throttle import Throttle
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import GuestAgentError, NotFound, StorageError
from guestagent.storage.base import BaseStorage
from guestagent.system import waiting


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


@dataclasses.dataclass(frozen=True)
class Shelf:
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

    def put(self, item: tuple[str, list[bytes]]) -> manifest.Segment:
        """Keep a segment, which is a name and its content.

        :raises StorageError: it was refused for too long.
        """
        name, chunks = item
        sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        for chunk in chunks:
            sha256.update(chunk)
            md5.update(chunk)
        size = sum(map(len, chunks))
        whole = self.path(name)

        def once() -> None:
            kept = self.storage.put(self.context, self.container, whole, _heeding(self.throttle.pass_on(chunks)))
            if kept != size:
                problem = f"the store has {kept} bytes of it, not {size}"
                raise StorageError(subject=f"Writing {self.container}/{whole}", problem=problem)

        self.patience.try_to(once)
        chunks.clear()
        return manifest.Segment(name, size, sha256.hexdigest(), md5.hexdigest())

    def get(self, item: tuple[int, manifest.Segment]) -> list[bytes]:
        """The content of a segment, verified.

        :param item: where it begins in the stored stream, and what it is.
        :raises SegmentMissing: it is not there.
        :raises SegmentDamaged: it is another one; it was fetched twice to be sure.
        :raises StorageError: the store refused for too long.
        """
        offset, segment = item
        try:
            try:
                return self.patience.try_to(lambda: self._fetched(offset, segment))
            except SegmentDamaged:
                # It may have been the way.
                return self.patience.try_to(lambda: self._fetched(offset, segment))
        except NotFound:
            raise SegmentMissing(segment=segment.name, backup=self.backup, offset=offset) from None

    def delete(self, name: str) -> None:
        """Remove a segment, if it is there."""
        self.storage.delete(self.context, self.container, self.path(name))

    def path(self, name: str) -> str:
        """The name of a segment's object."""
        return f"{self.backup}/{name}"

    def _fetched(self, offset: int, segment: manifest.Segment) -> list[bytes]:
        chunks: list[bytes] = []
        size = 0
        sha256 = hashlib.sha256()
        stored = self.storage.get(self.context, self.container, self.path(segment.name))
        for chunk in _heeding(self.throttle.pass_on(stored)):
            size += len(chunk)
            if size > segment.size:
                break
            sha256.update(chunk)
            chunks.append(chunk)
        problem = None
        if size > segment.size:
            problem = f"it is longer than its {segment.size} bytes"
        elif size < segment.size:
            problem = f"it has {size} of its {segment.size} bytes"
        elif sha256.hexdigest() != segment.sha256:
            problem = "its SHA-256 is another one"
        if problem is not None:
            raise SegmentDamaged(segment=segment.name, backup=self.backup, offset=offset, problem=problem)
        return chunks


def split(chunks: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    """The stream in pieces of so many bytes, only the last of which is shorter."""
    piece: list[bytes] = []
    room = size
    for chunk in chunks:
        start = 0
        while start < len(chunk):
            # A chunk that fits is handed on as it is.
            part = chunk[start : start + room]
            piece.append(part)
            start += len(part)
            room -= len(part)
            del part
            if not room:
                yield piece
                piece, room = [], size
    if piece:
        yield piece


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


def joined(shelf: Shelf, stored: Sequence[manifest.Segment], lanes: Lanes, ahead: int) -> Iterator[bytes]:
    """The stored stream of its segments.

    :param ahead: segments that are held in memory at most, but for the one that is being read.
    """
    begins = [0]
    for segment in stored:
        begins.append(begins[-1] + segment.size)
    for chunks in lanes.ordered(shelf.get, zip(begins, stored, strict=False), ahead):
        chunks.reverse()
        while chunks:
            # What was read is let go, while its segment is still read.
            yield chunks.pop()


def _heeding(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks, unless what asks for them was interrupted."""
    for chunk in chunks:
        waiting.check()
        yield chunk
