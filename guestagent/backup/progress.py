"""How far a stream is."""

from collections.abc import Callable

Progress = Callable[[int, int | None], None]
"""Hears the bytes of the stream that are done, and how many there will be; none: nobody knows."""


def silent(done: int, total: int | None) -> None:
    """Nobody wants to know."""


class Meter:
    """Counts a stream, so that it only ever advances and never exceeds the whole.

    :param progress: is told after every chunk, in the thread that counts.
    :param expected: bytes of the whole; may be a guess, which grows when it was too low.
    :ivar done: bytes that were counted.
    """

    def __init__(self, progress: Progress, expected: int | None) -> None:
        self._progress = progress
        self._expected = expected
        self.done = 0

    def count(self, size: int) -> None:
        """So many more bytes are done."""
        self.done += size
        self._progress(self.done, None if self._expected is None else max(self._expected, self.done))

    def end(self) -> None:
        """That was the whole."""
        self._progress(self.done, self.done)
