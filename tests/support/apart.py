"""Begins a program in a control group and a copy of the table of mounts, from which other tests' mounts are gone."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from guestagent.system import volume

SCRATCH = (Path(tempfile.gettempdir()), Path("/dev/shm"))
"""Where tests mount volumes."""


def command(group: Path, root: Path, argv: Sequence[str]) -> list[str]:
    """What to run for that.

    :param group: the control group's directory.
    :param root: what is mounted there, and wherever that lies, is left to the program.
    :param argv: the program and its arguments.
    """
    begin = [sys.executable, "-m", __name__, str(group), str(root), *argv]
    return ["unshare", "--mount", "--propagation", "private", *begin]


def _leave_mounts(root: Path) -> None:
    # The kernel keeps a volume busy as long as any copy of the table has it.
    for mount in reversed(volume.mounts()):
        if any(scratch in mount.point.parents for scratch in SCRATCH) and not root.is_relative_to(mount.point):
            # One that is unmounted by whoever has mounted it meanwhile is gone here too.
            subprocess.run(["umount", "--lazy", "--", str(mount.point)], check=False, timeout=60)


def _begin(group: str, root: str, *argv: str) -> None:
    _leave_mounts(Path(root))
    Path(group, "cgroup.procs").write_text(str(os.getpid()))
    os.execvp(argv[0], argv)


if __name__ == "__main__":
    _begin(*sys.argv[1:])
