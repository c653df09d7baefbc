"""The programs that the work is done with."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from guestagent_image.errors import ToolFailed, ToolMissing

TIMEOUT = 1800
"""Seconds; downloading is the longest that is done."""
LAST = 12
"""Lines of what a program said that stand in the error."""


def run(argv: Sequence[str], *, environment: Mapping[str, str] | None = None) -> str:
    """Run a program and wait for it.

    :param environment: what is added to this process's own.
    :returns: what it wrote to its standard output.
    :raises ToolFailed: it ended with an error.
    """
    done = subprocess.run(
        argv,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    if done.returncode:
        raise ToolFailed(program=argv[0], problem=tail(done.stderr or done.stdout))
    return done.stdout


def need(program: str, package: str) -> None:
    """:raises ToolMissing: the program is not there."""
    if shutil.which(program) is None:
        raise ToolMissing(program=program, package=package)


def tail(said: str) -> str:
    """The end of what a program said."""
    return "\n".join(said.strip().splitlines()[-LAST:])
