"""Interrupting what waits, from another thread."""

import contextlib
import gc
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


def descriptors_in_use() -> list[str]:
    """The same in order, without what earlier tests have left to the garbage collector, which closes it at any time."""
    gc.collect()
    return sorted(descriptors())


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
        eventually(when, every=0.001)
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
