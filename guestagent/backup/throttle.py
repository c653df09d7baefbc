"""So many bytes in a second and no more."""

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Final

from guestagent.system import waiting

BURST_SECONDS: Final = 0.1
"""What was not used of so much time may be made up for."""
SMALLEST: Final = 4096


class Throttle:
    """Holds its callers, all together, to a rate; any thread may use it.

    :param rate: bytes per second; 0: no limit.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._free_at = time.monotonic()

    def pass_on(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The chunks at the rate, in pieces if it is low."""
        if not self._rate:
            yield from chunks
            return
        most = max(SMALLEST, int(self._rate * BURST_SECONDS))
        for chunk in chunks:
            for start in range(0, len(chunk), most):
                piece = chunk[start : start + most]
                self.take(len(piece))
                yield piece

    def take(self, size: int) -> None:
        """Wait until so many bytes may pass.

        :raises GuestAgentError: as :func:`waiting.check`.
        """
        if not self._rate:
            return
        with self._lock:
            now = time.monotonic()
            # Everybody gets a time of their own, so that nobody must be woken by anybody.
            begin = max(self._free_at, now - BURST_SECONDS)
            self._free_at = begin + size / self._rate
            delay = self._free_at - now
        if delay > 0:
            waiting.pause(delay)
