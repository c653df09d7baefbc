"""Short external commands: run to their end, within a time, and never through a shell."""

import contextlib
import os
import pwd
import select
import signal
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, TypedDict

import msgspec
from oslo_log import log

from guestagent.contract.errors import NotFound, SystemFailure
from guestagent.system import waiting

LOG = log.getLogger(__name__)

ENVIRONMENT: Final[Mapping[str, str]] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}
"""All that a process started by the agent inherits."""

DIES_WITH_US: Final = ("setpriv", "--pdeathsig", "KILL", "--")
"""Begins the command line of a process that is killed when the thread that started it ends."""

KILL_SECONDS = 5
CHUNK = 32768
LINES_TOLD = 3
CHARACTERS_TOLD = 500
SHORTEST_ECHO = 6
"""So many characters in a row that a command repeats from its standard input are taken for a piece of a secret."""


class Completed(msgspec.Struct, frozen=True):
    """How a command ended.

    :ivar code: its exit code, one of those that the caller accepts.
    """

    stdout: str
    stderr: str
    code: int


class Identity(TypedDict, total=False):
    """The arguments of ``subprocess.Popen`` that make a process run as an account."""

    user: int
    group: int
    extra_groups: list[int]


def identity(user: str | None) -> Identity:
    """Who a process runs as: an account with all its groups; none, or the agent's own: the agent's.

    :raises NotFound: there is no such account.
    :raises SystemFailure: it is another account and the agent is not root.
    """
    if user is None:
        return {}
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        raise NotFound(subject=f"The account '{user}'") from None
    if account.pw_uid == os.geteuid():
        return {}
    if os.geteuid() != 0:
        raise SystemFailure(subject=f"Running a program as '{user}'", problem="the agent itself does not run as root")
    groups = os.getgrouplist(user, account.pw_gid)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": groups}


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    stdin: bytes | None = None,
    user: str | None = None,
    environment: Mapping[str, str] | None = None,
    directory: Path = Path("/"),
    accept: Collection[int] = (0,),
) -> Completed:
    """Run a command to its end.

    Errors and logs name the program only, not its arguments, and quote what it wrote to its standard
    error without the pieces that it repeats from its standard input.

    :param argv: never holds a secret.
    :param timeout: seconds; then the command and the processes that it started are killed.
    :param stdin: what it reads, for example a secret; none: nothing.
    :param user: the account that it runs as; see :func:`identity`.
    :param environment: in addition to :data:`ENVIRONMENT`.
    :param directory: where it begins.
    :param accept: the exit codes that are no failure.
    :raises SystemFailure: it is not there, was killed, or ended with another code.
    :raises GuestAgentError: the operation was interrupted, see :mod:`guestagent.system.waiting`; then the
        command and the processes that it started are killed, too.
    """
    waiting.check()
    program = Path(argv[0]).name
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=directory,
            env={**ENVIRONMENT, **(environment or {})},
            process_group=0,
            **identity(user),
        )
    except OSError as error:
        raise SystemFailure(subject=program, problem=f"it cannot be started: {error.strerror}") from None
    try:
        stdout, stderr = _exchange(process, stdin or b"", time.monotonic() + timeout)
    except BaseException as error:
        kill_group(process, program)
        if isinstance(error, TimeoutError):
            problem = f"it did not end within {timeout:g} s and was killed"
            raise SystemFailure(subject=program, problem=problem) from None
        raise
    completed = Completed(stdout.decode(errors="replace"), stderr.decode(errors="replace"), process.wait())
    LOG.debug("%s ended with code %d", program, completed.code)
    if completed.code not in accept:
        fed = (stdin or b"").decode(errors="replace")
        raise SystemFailure(subject=program, problem=reason(completed.code, completed.stderr, fed))
    return completed


def start(
    argv: Sequence[str], *, stdin: int, stdout: int, user: str | None, environment: Mapping[str, str] | None
) -> "subprocess.Popen[bytes]":
    """Start a process as the leader of a group of its own, its standard error a pipe.

    :param stdin: as ``subprocess.Popen`` takes it; ``stdout`` likewise.
    :raises SystemFailure: it is not there.
    """
    try:
        return subprocess.Popen(
            argv,
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            cwd="/",
            env={**ENVIRONMENT, **(environment or {})},
            process_group=0,
            **identity(user),
        )
    except OSError as error:
        raise SystemFailure(subject=Path(argv[0]).name, problem=f"it cannot be started: {error.strerror}") from None


def _exchange(process: "subprocess.Popen[bytes]", stdin: bytes, deadline: float) -> tuple[bytes, bytes]:
    """Hand the input over and take the two outputs, until all are closed and the process has ended.

    What ``communicate`` does, in a wait that can be interrupted. The end of the process is seen and not
    taken note of: as long as nobody waited for it, its id and its group's are no other's, and can be killed.

    :param deadline: by the monotonic clock.
    :raises TimeoutError: it has passed.
    """
    pipes = {pipe.fileno(): pipe for pipe in (process.stdin, process.stdout, process.stderr) if pipe is not None}
    said = {number: bytearray() for number, pipe in pipes.items() if pipe is not process.stdin}
    unread = memoryview(stdin)
    poller = select.poll()
    end = os.pidfd_open(process.pid)
    try:
        poller.register(end, select.POLLIN)
        for number in pipes:
            poller.register(number, select.POLLIN if number in said else select.POLLOUT)
        awaited = {end, *pipes}
        while awaited:
            ready = waiting.poll(poller, deadline)
            if not ready or time.monotonic() > deadline:
                raise TimeoutError
            for number in ready:
                if number in said:
                    chunk = os.read(number, CHUNK)
                    said[number] += chunk
                    if chunk:
                        continue
                elif number != end:
                    unread = _hand_over(number, unread)
                    if unread:
                        continue
                poller.unregister(number)
                awaited.remove(number)
                if number != end:
                    pipes[number].close()
    finally:
        os.close(end)
    stdout, stderr = said.values()
    return bytes(stdout), bytes(stderr)


def _hand_over(pipe: int, unread: memoryview) -> memoryview:
    """Write as much as is sure not to block; what is left for the next time."""
    try:
        return unread[os.write(pipe, unread[: select.PIPE_BUF]) :]
    except BrokenPipeError:
        return unread[:0]


def kill_group(process: "subprocess.Popen[bytes]", program: str) -> None:
    """Kill a process that leads a group, and everything in it; not waited for longer than a dead disk deserves."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):
                stream.close()
    try:
        process.wait(KILL_SECONDS)
    except subprocess.TimeoutExpired:
        # A dead disk keeps its processes in the kernel; the agent must go on without them.
        LOG.error("%s (process %d) cannot be killed: it waits for the kernel", program, process.pid)


def reason(code: int, stderr: str, fed: str) -> str:
    """Why a process failed, for a sentence.

    :param code: what it ended with, negative for a signal.
    :param stderr: its end is quoted.
    :param fed: what it has read, of which nothing is quoted.
    """
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    told = " / ".join(lines[-LINES_TOLD:])[-CHARACTERS_TOLD:]
    said = _without_echo("".join(character if character.isprintable() else "?" for character in told), fed)
    end = f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with code {code}"
    return f"{said} ({end})" if said else end


def _without_echo(text: str, stdin: str) -> str:
    """Blank every piece that the text shares with the input: a client quotes the statement it fails at."""
    kept: list[str] = []
    at = 0
    while at < len(text):
        length = SHORTEST_ECHO
        if len(text) - at < length or text[at : at + length] not in stdin:
            kept.append(text[at])
            at += 1
            continue
        while at + length < len(text) and text[at : at + length + 1] in stdin:
            length += 1
        kept.append("***")
        at += length
    return "".join(kept)
