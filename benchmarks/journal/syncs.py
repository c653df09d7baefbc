"""How often the kernel is asked to have something on disk: counted by strace, which sees every thread."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.journal.kinds import CALL, KINDS

CALLS = ("fsync", "fdatasync", "sync_file_range")
TIMES = 100
SECONDS = 600.0
ROOT = Path(__file__).parents[2]
STRACE = "strace"


class NotCounted(Exception):
    """Nobody could count; the text says why."""


Syncs = Mapping[str, float] | NotCounted
"""How many there are, by the names of the kinds; or why nobody knows."""


def count(parent: Path, times: int = TIMES, strace: str = STRACE) -> dict[str, float]:
    """The syncs of every kind: of one operation, or of one of its steps.

    What is done ``times`` is compared with what is done twice as often: what the start and the end take is in both.

    :param parent: where the operations are written down.
    :raises NotCounted: strace is not there, or may not look.
    """
    messages = {}
    for name in KINDS:
        few, many = (_traced(name, number, parent, strace) for number in (times, 2 * times))
        messages[name] = (many - few) / times
    return {name: _of_one(name, messages) for name in KINDS}


def _of_one(name: str, messages: Mapping[str, float]) -> float:
    steps = KINDS[name].steps
    return (messages[name] - messages[CALL]) / steps if steps else messages[name]


def _traced(kind: str, times: int, parent: Path, strace: str) -> int:
    """The syncs of a process that does a kind so many times."""
    with tempfile.TemporaryDirectory(dir=parent) as directory:
        summary = Path(directory) / "summary"
        command = [sys.executable, "-m", "benchmarks.journal.counted", kind, str(times), directory]
        trace = [strace, "-f", "-c", "-U", "calls,name", "-e", f"trace={','.join(CALLS)}", "-o", str(summary)]
        try:
            done = subprocess.run(
                [*trace, *command], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS
            )
        except OSError as error:
            raise NotCounted(f"{strace}: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise NotCounted(f"{strace} did not end within {SECONDS:g} s") from None
        if done.returncode:
            raise NotCounted((done.stderr.strip().splitlines() or [f"{strace} ended with {done.returncode}"])[-1])
        return sum_up(summary.read_text())


def sum_up(summary: str) -> int:
    """The number of syncs in strace's summary, which is empty when there was none."""
    lines = [line.split() for line in summary.splitlines()]
    return sum(int(fields[0]) for fields in lines if fields[1:] and fields[1] in CALLS)
