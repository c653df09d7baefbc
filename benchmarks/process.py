"""A measured process: what the kernel and the process itself say of it."""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from guestagent.conformance.child import Child, plain_environment
from guestagent.conformance.poll import eventually

PROBE = Path(__file__).with_name("probe")
MIB = 1 << 20
CPUCLOCK_SCHED = 2
"""Linux's number for the scheduler's clock of a process, in nanoseconds; ``/proc`` counts in steps of 10 ms."""
STOP_SECONDS = 60.0


class MeasuredProcess:
    """A process in a directory of its own, started at once; a context manager that ends it.

    :param argv: its command.
    :param directory: home, working directory, and where its output goes.
    :ivar started: when, on the monotonic clock, in seconds.
    """

    def __init__(self, argv: Sequence[str], directory: Path) -> None:
        self._modules = directory / "modules"
        environment = plain_environment(directory) | {"PYTHONPATH": str(PROBE), "MODULES_FILE": str(self._modules)}
        self.started = time.monotonic()
        self._child = Child(argv, environment=environment, directory=directory, output=directory / "output.log")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._child.terminate(STOP_SECONDS)

    @property
    def output(self) -> str:
        """The end of what it wrote."""
        return self._child.output.read_text(errors="replace")[-4000:]

    def resident(self) -> float:
        """Resident memory in MiB, with that of forked copies of itself; a database it started is no such copy."""
        return sum(_resident(pid) for pid in self._copies()) / MIB

    def cpu(self) -> float:
        """Processor time that it has used so far, in seconds, with that of forked copies of itself."""
        return sum(time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED) for pid in self._copies())

    def modules(self) -> list[str]:
        """The names of the modules that it has imported so far."""
        self._modules.unlink(missing_ok=True)
        self._child.signal(signal.SIGUSR2)
        eventually(self._modules.exists, message="the process does not say what it has imported")
        return self._modules.read_text().split()

    def _copies(self) -> list[int]:
        """It and its children that run the same program."""
        pid = self._child.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *(int(child) for child in children if _program(int(child)) == _program(pid))]


def _program(pid: int) -> Path:
    return Path(f"/proc/{pid}/exe").readlink()


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
