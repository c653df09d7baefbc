"""What the kernel knows of processes, read so that a re-used process id is never taken for the old one."""

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from guestagent.system import waiting

PROC = Path("/proc")
GONE = (FileNotFoundError, ProcessLookupError, PermissionError)
"""A process that ended, or that the mount options of /proc hide from this account."""


class Process(msgspec.Struct, frozen=True, eq=False):
    """One process, as it was when it was looked at.

    Two of them are equal when they are the same process.

    :ivar started: clock ticks from the machine's boot; with ``pid`` it names this process and no other.
    :ivar session: the process id of the leader of its session.
    :ivar ended: it waits for its parent to take note.
    """

    pid: int
    started: int
    parent: int
    session: int
    ended: bool

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Process) and (self.pid, self.started) == (other.pid, other.started)

    def __ne__(self, other: object) -> bool:
        # The base class has one of its own, which knows nothing of this class's idea of being equal.
        return not self == other

    def __hash__(self) -> int:
        return hash((self.pid, self.started))

    def is_running(self) -> bool:
        """Whether this very process is still there now."""
        now = look_up(self.pid)
        return now == self and not now.ended


def look_up(pid: int) -> Process | None:
    """The process that has this id now, if there is one."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except GONE:
        return None
    # Fields after the name, which may hold anything; see proc(5), /proc/pid/stat from field 3 on.
    state, parent, _, session, *rest = text.rpartition(")")[2].split()
    return Process(pid, int(rest[15]), int(parent), int(session), ended=state in "ZX")


def running() -> Iterator[Process]:
    """All processes of the machine that the agent may see."""
    for entry in PROC.iterdir():
        if entry.name.isdecimal():
            process = look_up(int(entry.name))
            if process is not None and not process.ended:
                yield process


def family(leader: Process) -> list[Process]:
    """The leader of a session, if it still runs, its session and everything that descends from it."""
    present = look_up(leader.pid)
    if present not in (None, leader):
        # The kernel gives an id away again only when its session has no member left.
        return []
    everybody = list(running())
    members = {leader.pid}
    while found := {
        process.pid
        for process in everybody
        if process.pid not in members and (process.parent in members or process.session == leader.pid)
    }:
        members |= found
    return [process for process in everybody if process.pid in members]


def command_line(process: Process) -> list[str]:
    """The arguments that the process was started with; empty when it is gone."""
    try:
        content = (PROC / str(process.pid) / "cmdline").read_bytes()
    except GONE:
        return []
    return os.fsdecode(content).split("\0")[:-1]


def send_signal(process: Process, number: int) -> None:
    """Send a signal to this process and to no other; it is no error when it is gone."""
    with _handle(process) as handle, contextlib.suppress(ProcessLookupError):
        if handle is not None:
            signal.pidfd_send_signal(handle, number)


def wait(processes: Iterable[Process], timeout: float) -> bool:
    """Wait until all of them have ended.

    :param timeout: seconds.
    :returns: false when one of them is still there.
    :raises GuestAgentError: the operation was interrupted, see :mod:`guestagent.system.waiting`.
    """
    deadline = time.monotonic() + timeout
    poller = select.poll()
    with contextlib.ExitStack() as stack:
        left: set[int] = set()
        for process in processes:
            handle = stack.enter_context(_handle(process))
            if handle is not None:
                poller.register(handle, select.POLLIN)
                left.add(handle)
        while left:
            ended = waiting.poll(poller, deadline)
            if not ended:
                return False
            for handle in ended:
                poller.unregister(handle)
            left.difference_update(ended)
    return True


@contextlib.contextmanager
def _handle(process: Process) -> Iterator[int | None]:
    """A descriptor that stays bound to this process; none when it has ended."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield handle if process.is_running() else None
    finally:
        os.close(handle)
