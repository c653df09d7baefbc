"""The journal's measurements, one after the other."""

import contextlib
import sys
import tempfile
from pathlib import Path

from benchmarks.journal import costs, outside, syncs
from benchmarks.journal.place import Place
from benchmarks.journal.report import JournalReport
from tests.support.environments import ROOT

TREE = ROOT / ".work"
MEMORY = Path("/dev/shm")  # a tmpfs on every Linux
CALLS_PER_REPEAT = 20
"""Calls outside of operations in the time of a repeat: they take microseconds, and a budget hangs on them."""


def measure(rounds: int, repeats: int) -> JournalReport:
    """Measure operations and steps in turns, then the calls outside of operations, and count the syncs."""
    calls = repeats * CALLS_PER_REPEAT
    with contextlib.ExitStack() as stack:
        tree, memory = (_directory(stack, parent) for parent in (TREE, MEMORY))
        places = {"tree": stack.enter_context(Place(tree / "costs")), "memory": stack.enter_context(Place(memory))}
        _say("the journal: operations and steps")
        of_operations = costs.measure(places, rounds, repeats)
        _say("the journal: calls outside of operations")
        of_others = outside.measure(tree / "outside", rounds, calls)
        _say("the journal: syncs")
        return JournalReport(
            settings={"rounds": rounds, "repeats": repeats, "calls": calls, "counted": syncs.TIMES},
            file_systems={name: place.file_system for name, place in places.items()},
            costs=of_operations,
            syncs=_count(tree),
            outside=of_others,
        )


def _directory(stack: contextlib.ExitStack, parent: Path) -> Path:
    parent.mkdir(exist_ok=True)
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=parent)))


def _count(parent: Path) -> syncs.Syncs:
    try:
        return syncs.count(parent)
    except syncs.NotCounted as problem:
        return problem


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
