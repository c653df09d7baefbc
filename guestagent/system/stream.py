"""Programs that give or take a stream of any length: one that is read, and one that is fed."""

import collections
import contextlib
import fcntl
import os
import select
import shutil
import subprocess
import time
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, ClassVar, Final, Self, cast

from oslo_log import log

from guestagent.contract.errors import SystemFailure
from guestagent.system import command, waiting

LOG = log.getLogger(__name__)

PIPE_BYTES: Final = 1 << 20
"""Room in the pipe of the stream: so much the program can be ahead, and so often it is not woken."""
TAIL_BYTES: Final = 1 << 16
"""So much of the end of what a program says is kept."""
FED_BYTES: Final = 4 * PIPE_BYTES
"""So much of what it was fed last is kept, to blank it in what it says: it may not have read the rest yet."""
LOG_MODE: Final = 0o600
LONG_WAIT: Final = 24 * 3600.0
"""Seconds of one wait; what waits has no end of its own, and then waits on."""


class _Program:
    """A running program; its block kills it, and what it started, unless it has ended.

    The kernel kills it when the thread that started it ends, however that ends, so that nothing is left of a
    worker that was killed itself. What it says on its standard error is taken whenever it is read, fed or waited
    for, so that it never stands still for that.

    :cvar STDIN: as ``subprocess.Popen`` takes it; so is ``STDOUT``. One of them is the pipe of the stream.
    :param argv: never holds a secret.
    :param user: the account that it runs as; see :func:`command.identity`.
    :param environment: in addition to :data:`command.ENVIRONMENT`; never holds a secret.
    :param log_file: that what it says on its standard error is appended to, made with mode 0600.
    :raises SystemFailure: it is not there, or the log cannot be written.
    """

    STDIN: ClassVar[int]
    STDOUT: ClassVar[int]

    def __init__(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        environment: Mapping[str, str] | None = None,
        log_file: Path | None = None,
    ) -> None:
        waiting.check()
        self.program = Path(argv[0]).name
        if shutil.which(argv[0], path=command.ENVIRONMENT["PATH"]) is None:
            # What starts it would say so too, in words about itself.
            raise SystemFailure(subject=self.program, problem="it cannot be started: there is no such program")
        with contextlib.ExitStack() as opened:
            self._log_file = None if log_file is None else _appended(log_file)
            if self._log_file is not None:
                opened.callback(os.close, self._log_file)
            argv = [*command.DIES_WITH_US, *argv]
            self._process = command.start(
                argv, stdin=self.STDIN, stdout=self.STDOUT, user=user, environment=environment
            )
            opened.callback(self._leave)
            self._end = os.pidfd_open(self._process.pid)
            opened.callback(os.close, self._end)
            self._stream = cast(IO[bytes], self._process.stdout or self._process.stdin).fileno()
            os.set_blocking(self._stream, False)
            with contextlib.suppress(OSError):
                # The kernel gives an account that is not root only so much of it.
                fcntl.fcntl(self._stream, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            self._stderr: int | None = cast(IO[bytes], self._process.stderr).fileno()
            self._said = bytearray()
            self._fed: collections.deque[bytes] = collections.deque()
            self._fed_bytes = 0
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self._opened.close()

    @property
    def pid(self) -> int:
        """Its process id, and that of its group."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it has ended, well or not."""
        return self._process.returncode is not None or bool(select.select([self._end], [], [], 0)[0])

    def finish(self) -> str:
        """Close the stream and wait until the program has ended.

        :returns: the end of what it said on its standard error.
        :raises SystemFailure: it was killed, or ended with another code than 0.
        :raises GuestAgentError: the operation was interrupted, see :mod:`guestagent.system.waiting`.
        """
        for pipe in (self._process.stdout, self._process.stdin):
            if pipe is not None:
                pipe.close()
        while self._stderr is not None:
            self._wait()
        while not self.ended:
            self._wait(self._end)
        # Until here its id was no other's, so that it could be killed.
        code = self._process.wait()
        LOG.debug("%s ended with code %d", self.program, code)
        said = self._said.decode(errors="replace")
        if code != 0:
            fed = b"".join(self._fed).decode(errors="replace")
            raise SystemFailure(subject=self.program, problem=command.reason(code, said, fed))
        return said

    def _wait(self, descriptor: int | None = None, event: int = select.POLLIN) -> None:
        """Wait until the descriptor is ready, or the program says something, which is taken."""
        poller = select.poll()
        if descriptor is not None:
            poller.register(descriptor, event)
        if self._stderr is not None:
            poller.register(self._stderr, select.POLLIN)
        ready = waiting.poll(poller, time.monotonic() + LONG_WAIT)
        if self._stderr is not None and self._stderr in ready:
            self._listen(self._stderr)

    def _listen(self, stderr: int) -> None:
        said = os.read(stderr, TAIL_BYTES)
        if not said:
            self._stderr = None
        self._said += said
        del self._said[:-TAIL_BYTES]
        if self._log_file is not None:
            unwritten = memoryview(said)
            while unwritten:
                unwritten = unwritten[os.write(self._log_file, unwritten) :]

    def _leave(self) -> None:
        if self._process.returncode is None:
            command.kill_group(self._process, self.program)
        elif self._process.stderr is not None:
            self._process.stderr.close()


class Producer(_Program):
    """A program whose standard output is read; it has no standard input. See :class:`_Program`."""

    STDIN, STDOUT = subprocess.DEVNULL, subprocess.PIPE

    def read(self, size: int) -> bytes:
        """The next bytes as soon as there are some, at most so many; empty: it has closed its output.

        That is no sign that all went well; :meth:`finish` tells.

        :raises GuestAgentError: the operation was interrupted.
        """
        waiting.check()
        while True:
            with contextlib.suppress(BlockingIOError):
                return os.read(self._stream, size)
            self._wait(self._stream, select.POLLIN)


class Consumer(_Program):
    """A program that is fed through its standard input; its standard output is thrown away. See :class:`_Program`.

    An error quotes what it said without the pieces that it repeats from what it was fed last.
    """

    STDIN, STDOUT = subprocess.PIPE, subprocess.DEVNULL

    def write(self, chunk: bytes) -> None:
        """Feed it all of the chunk.

        :raises SystemFailure: it has ended, or closed its input, before it had read everything.
        :raises GuestAgentError: the operation was interrupted.
        """
        waiting.check()
        self._remember(chunk)
        unread = memoryview(chunk)
        while unread:
            try:
                unread = unread[os.write(self._stream, unread) :]
            except BlockingIOError:
                self._wait(self._stream, select.POLLOUT)
            except BrokenPipeError:
                self.finish()
                problem = "it ended before it had read everything"
                raise SystemFailure(subject=self.program, problem=problem) from None

    def _remember(self, chunk: bytes) -> None:
        self._fed.append(chunk)
        self._fed_bytes += len(chunk)
        while self._fed_bytes - len(self._fed[0]) > FED_BYTES:
            self._fed_bytes -= len(self._fed.popleft())


def _appended(path: Path) -> int:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, LOG_MODE)
    except OSError as error:
        raise SystemFailure(subject=f"Opening {path}", problem=error.strerror) from None
    os.fchmod(handle, LOG_MODE)
    return handle
