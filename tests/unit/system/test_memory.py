"""What is free is given back, also where something in use lies behind it."""

import subprocess
import sys

THROUGH = """
from guestagent.system import memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 >> 20

blocks = [bytearray(b"x" * 100_000) for _ in range(600)]
kept = blocks[::20]
before = resident()
del blocks
memory.give_back()
print(before - resident())
"""


def test_what_is_free_is_given_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", THROUGH],
        capture_output=True,
        text=True,
        check=True,
        env={"MALLOC_TRIM_THRESHOLD_": "0x40000000"},
    )
    assert int(done.stdout) > 40
