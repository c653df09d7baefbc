"""What is sent with one request: gathered, because a signature comes before what it signs."""

import base64
import hashlib
from collections.abc import Iterable, Iterator

import msgspec


class Piece(msgspec.Struct, frozen=True):
    """Some of an object.

    :ivar chunks: its bytes; they can be sent again.
    :ivar sha256: hexadecimal.
    :ivar md5: as it is.
    """

    chunks: list[bytes]
    size: int
    sha256: str
    md5: bytes

    @property
    def content_md5(self) -> str:
        """As the header of that name has it."""
        return base64.b64encode(self.md5).decode()


def piece(*chunks: bytes) -> Piece:
    """What was there already."""
    sha256 = hashlib.sha256()
    md5 = hashlib.md5(usedforsecurity=False)
    for chunk in chunks:
        sha256.update(chunk)
        md5.update(chunk)
    return Piece([*chunks], sum(map(len, chunks)), sha256.hexdigest(), md5.digest())


class Gathering:
    """Pieces of one size, of chunks of any; at no time is more in memory than a piece and a chunk.

    :param chunks: are taken as they are needed.
    :param size: of every piece but the last.
    """

    def __init__(self, chunks: Iterable[bytes], size: int) -> None:
        self._chunks: Iterator[bytes] = filter(None, chunks)
        self._size = size
        self._left = memoryview(b"")
        self._first: Piece | None = None

    @property
    def over(self) -> bool:
        """Whether all has been taken."""
        if self._first is None and not self._left:
            self._left = memoryview(next(self._chunks, b""))
        return self._first is None and not self._left

    def only(self) -> Piece | None:
        """The one piece that everything fits into; none: there are more, and all are there to be taken."""
        first = self._gathered()
        if self.over:
            return first
        self._first = first
        return None

    def take(self) -> Piece:
        """The next piece; an empty one when it is over."""
        first, self._first = self._first, None
        return first or self._gathered()

    def _gathered(self) -> Piece:
        taken: list[bytes] = []
        room = self._size
        while room and not self.over:
            taken.append(bytes(self._left[:room]))
            self._left = self._left[room:]
            room -= len(taken[-1])
        return piece(*taken)
