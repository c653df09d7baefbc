"""Interrupting what waits, from another thread."""

import contextlib
import gc
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from guestagent.conformance.poll import eventually
from guestagent.contract.errors import Cancelled, TimedOut
from guestagent.system.waiting import Interruption

PROMPT = 10.0
"""Seconds within which an interrupted wait has ended, on a machine that does other things too."""


def descriptors() -> list[str]:
    """What this process has open."""
    found = []
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(str(path.readlink()))
    return found


@contextlib.contextmanager
def nothing_adds_up(times: int) -> Iterator[None]:
    """What is done so many times in the block leaves nothing open and no child process.

    What belongs to other tests comes and goes meanwhile, in their threads and in the garbage, and is not so much.
    """
    before = _held()
    yield
    held = _held()
    assert len(held) - len(before) < times / 2, held


def _held() -> list[str]:
    """What this process has open, and its children."""
    gc.collect()
    return [*descriptors(), *Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def something_waits() -> bool:
    """Whether a thread of this process is in a wait that a cancel ends."""
    return "anon_inode:[eventfd]" in descriptors()


@contextlib.contextmanager
def cancelled_once(when: Callable[[], object] = something_waits) -> Iterator[Interruption]:
    """Have another thread cancel the block, which must then end promptly and with the error of the cancel.

    :param when: becomes true when the block is where it is to be cancelled.
    """
    interruption, error = Interruption(), Cancelled(operation="work", phase="")

    def cancel() -> float:
        eventually(when, every=0.005)
        interruption.cancel(error)
        return time.monotonic()

    with ThreadPoolExecutor(1) as elsewhere:
        cancelling = elsewhere.submit(cancel)
        with interruption.applied(), pytest.raises(Cancelled) as raised:
            yield interruption
        ended = time.monotonic()
        assert raised.value is error
        assert ended - cancelling.result() < PROMPT


@contextlib.contextmanager
def timed_out_after(seconds: float, step: str = "ask") -> Iterator[Interruption]:
    """Limit the block, as a step of an operation, which must then end by that, in time and not before."""
    interruption = Interruption()
    began = time.monotonic()
    said = f"'{step}' did not end within {seconds:g} s"
    with interruption.applied(), pytest.raises(TimedOut, match=said), interruption.limited(step, seconds):
        yield interruption
    assert seconds <= time.monotonic() - began < seconds + PROMPT
