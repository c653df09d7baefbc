"""A stream of chunks, taken in exact numbers of bytes."""

from collections.abc import Iterable


class Feed:
    """What the stages of the stream that look for boundaries take their bytes from.

    :param chunks: any sizes, empty ones too.
    :ivar offset: bytes that have been taken.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._current = b""
        self._used = 0
        self.offset = 0

    def take(self, size: int) -> bytes:
        """So many bytes; fewer only at the end."""
        found: list[bytes] = []
        missing = size
        while missing and self._fill():
            # A chunk that fits is handed on as it is; one that does not is copied once.
            piece = self._current[self._used : self._used + missing]
            self._used += len(piece)
            missing -= len(piece)
            found.append(piece)
        self.offset += size - missing
        return found[0] if len(found) == 1 else b"".join(found)

    @property
    def ended(self) -> bool:
        """Whether nothing is left; waits for the next chunk if that must be known."""
        return not self._fill()

    def _fill(self) -> bool:
        while self._used == len(self._current):
            # Let go of what is used before the next one is made.
            self._current, self._used = b"", 0
            try:
                self._current = next(self._chunks)
            except StopIteration:
                return False
        return True
