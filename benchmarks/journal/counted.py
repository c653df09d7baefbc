"""``python -m benchmarks.journal.counted KIND TIMES DIRECTORY``: operations for somebody who counts from outside."""

import sys
from pathlib import Path

from guestagent.system import threads


def main() -> None:
    """Do a kind so many times, with the state in the directory."""
    threads.select()
    from benchmarks.journal.kinds import KINDS, do, guest

    kind, times, directory = sys.argv[1:]
    with guest(Path(directory)) as counted:
        for _ in range(int(times)):
            do(counted, KINDS[kind])


if __name__ == "__main__":
    main()
