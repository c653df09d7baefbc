"""The most memory of a child is seen, also when it has given it back."""

import subprocess
import sys

from benchmarks.backup.memory import PeakMemory
from guestagent.conformance.poll import eventually

MODULE = "timeit"
"""One of Python's own, as a stand-in for what is looked at."""
MIB = 100
HOLDS = f"x = bytearray({MIB} << 20); x[:] = bytes(len(x)) ; del x; import sys; sys.stdin.read()"
COMMAND = [sys.executable, "-m", MODULE, "-n1", "-r1", HOLDS]


def test_the_peak_of_the_child_that_runs_the_module():
    with PeakMemory(MODULE) as memory, subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL):
        eventually(lambda: memory.mib > MIB, timeout=30)

    assert MIB < memory.mib < 4 * MIB


def test_another_child_is_not_looked_at():
    with PeakMemory("guestagent.backup.worker") as memory:
        subprocess.run(COMMAND, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    assert memory.mib == 0
