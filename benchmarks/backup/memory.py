"""The most memory that a short-lived process has had."""

import contextlib
import os
import threading
from pathlib import Path
from typing import Final, Self

EVERY_SECONDS: Final = 0.02
PEAK: Final = "VmHWM:"
"""The kernel's name for it, which counts in KiB and only grows: what is missed is what came after the last look."""


class PeakMemory:
    """Looks at a child of this process again and again; a context manager.

    :param module: what the child's interpreter runs.
    :ivar mib: the most resident memory of it so far.
    """

    def __init__(self, module: str) -> None:
        self.mib = 0.0
        self._module = module.encode()
        self._over = threading.Event()
        self._looker = threading.Thread(target=self._look_again_and_again, daemon=True)

    def __enter__(self) -> Self:
        self._looker.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._looker.join()

    def _look_again_and_again(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            for process in _children():
                # It may have ended meanwhile.
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    if self._module in (process / "cmdline").read_bytes().split(b"\0"):
                        self.mib = max(self.mib, _peak(process))


def _children() -> list[Path]:
    pid = os.getpid()
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        # A thread may have ended meanwhile.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += [Path("/proc") / child for child in path.read_text().split()]
    return found


def _peak(process: Path) -> float:
    lines = (process / "status").read_text().splitlines()
    # One that has ended and was not waited for has none.
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(PEAK)), 0.0)
