"""Short external commands: run to their end, within a time, and never through a shell."""

import contextlib
import dataclasses
import os
import pwd
import signal
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, TypedDict

from oslo_log import log

from guestagent.contract.errors import NotFound, SystemFailure

LOG = log.getLogger(__name__)

ENVIRONMENT: Final[Mapping[str, str]] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}
"""All that a process started by the agent inherits."""

KILL_SECONDS = 5
LINES_TOLD = 3
CHARACTERS_TOLD = 500
SHORTEST_ECHO = 6
"""So many characters in a row that a command repeats from its standard input are taken for a piece of a secret."""


@dataclasses.dataclass(frozen=True)
class Completed:
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
    :param accept: the exit codes that are no failure.
    :raises SystemFailure: it is not there, was killed, or ended with another code.
    """
    program = Path(argv[0]).name
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env={**ENVIRONMENT, **(environment or {})},
            process_group=0,
            **identity(user),
        )
    except OSError as error:
        raise SystemFailure(subject=program, problem=f"it cannot be started: {error.strerror}") from None
    try:
        stdout, stderr = process.communicate(stdin, timeout)
    except BaseException as error:
        _kill_group(process, program)
        if isinstance(error, subprocess.TimeoutExpired):
            problem = f"it did not end within {timeout:g} s and was killed"
            raise SystemFailure(subject=program, problem=problem) from None
        raise
    completed = Completed(stdout.decode(errors="replace"), stderr.decode(errors="replace"), process.returncode)
    LOG.debug("%s ended with code %d", program, completed.code)
    if completed.code not in accept:
        raise SystemFailure(subject=program, problem=_reason(completed, (stdin or b"").decode(errors="replace")))
    return completed


def _kill_group(process: "subprocess.Popen[bytes]", program: str) -> None:
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


def _reason(completed: Completed, stdin: str) -> str:
    lines = [line.strip() for line in completed.stderr.splitlines() if line.strip()]
    told = " / ".join(lines[-LINES_TOLD:])[-CHARACTERS_TOLD:]
    said = _without_echo("".join(character if character.isprintable() else "?" for character in told), stdin)
    if completed.code < 0:
        end = f"it was ended by {signal.Signals(-completed.code).name}"
    else:
        end = f"it ended with code {completed.code}"
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
