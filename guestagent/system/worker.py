"""A program of our own that does one piece of long work and ends, so that its memory goes with it.

It gets its task as one line on its standard input, where no other account can read it, and answers in lines on its
standard output. It dies with the agent.
"""

import contextlib
import io
import select
import signal
import subprocess
import sys
import time
import types
from collections.abc import Iterator, Sequence
from typing import IO, Final, Self, cast

from oslo_log import log

from guestagent.contract.errors import SystemFailure
from guestagent.system import command, waiting

LOG = log.getLogger(__name__)

ALLOCATION: Final = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 22),
    "MALLOC_MMAP_THRESHOLD_": str(1 << 22),
}
"""Keeps large buffers in the process instead of giving them back and asking for them anew, see mallopt(3): a worker
lives by them and is soon gone. It saves 0.3 s of the kernel's time for each GiB of a backup."""
LONGEST: Final = 1 << 20
"""Bytes of the longest line."""
LONG_WAIT: Final = 3600.0
"""Seconds of one wait for a line; a worker may be as quiet as it likes, and is waited for again."""


class Worker:
    """A running worker; a context manager that kills it when it is left early.

    :param module: is run as a program by this interpreter.
    :param arguments: its command line; never holds a secret.
    :param task: the line that it gets.
    """

    def __init__(self, module: str, arguments: Sequence[str], task: bytes) -> None:
        self._module = module
        # Its complaints go where the agent's go.
        self._process = subprocess.Popen(
            [*command.DIES_WITH_US, sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            env={**command.ENVIRONMENT, **ALLOCATION},
            process_group=0,
        )
        stdin, self._said = cast(IO[bytes], self._process.stdin), cast(io.BufferedReader, self._process.stdout)
        with contextlib.suppress(BrokenPipeError), stdin:
            stdin.write(task + b"\n")

    def lines(self) -> Iterator[bytes]:
        """What it says, until it has ended well.

        :raises SystemFailure: it ended otherwise, or says more than fits in a line.
        :raises GuestAgentError: the operation was cancelled.
        """
        poller = select.poll()
        poller.register(self._said, select.POLLIN)
        pending = b""
        while True:
            if not waiting.poll(poller, time.monotonic() + LONG_WAIT):
                continue
            chunk = self._said.read1(LONGEST)
            if not chunk:
                break
            *whole, pending = (pending + chunk).split(b"\n")
            yield from whole
            if len(pending) > LONGEST:
                raise SystemFailure(subject=self._module, problem="it said a line that is too long")
        code = self._process.wait()
        if code != 0:
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
            raise SystemFailure(subject=self._module, problem=f"it {how}; the agent's log has its last words")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            command.kill_group(self._process, self._module)
        self._said.close()
