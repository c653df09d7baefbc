"""How far a stream is, on the terminal of a person who waits."""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from typing import TextIO

from guestagent.backup.progress import Progress, silent
from guestagent.cmd.ctl import progress, text

PERIOD = 0.2
"""Seconds between two drawings."""
CLEAR_LINE = "\r\x1b[K"


@contextlib.contextmanager
def shown(stream: TextIO, name: str) -> Iterator[Progress]:
    """What hears how far it is, and draws it as long as the block lasts; nothing where there is no terminal."""
    if not stream.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        yield silent
        return
    bar = _Bar(stream, name)
    try:
        yield bar
    finally:
        stream.write(CLEAR_LINE)
        stream.flush()


class _Bar:
    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream = stream
        self._name = name
        self._begun = time.monotonic()
        self._drawn = 0.0
        self._tick = 0

    def __call__(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        if now - self._drawn >= PERIOD:
            self._drawn = now
            self._tick += 1
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(CLEAR_LINE + line(self._name, done, total, now - self._begun, self._tick)[:width])
            self._stream.flush()


def line(name: str, done: int, total: int | None, seconds: float, tick: int) -> str:
    """A bar, and what it is about."""
    percent = 100 * done / total if total else None
    parts = [progress.percent(percent).rjust(4), progress.elapsed(seconds).rjust(7), size(done), text.cell(name)]
    return text.GAP.join([progress.bar(percent, 2 * progress.NARROWEST, tick), *parts])


def size(count: float) -> str:
    """Bytes as people say them."""
    unit = "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if count < 1024:
            break
        count, unit = count / 1024, larger
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
