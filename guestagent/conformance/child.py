"""A process of the tests' own, which ends with them."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def processes(directory: Path) -> list[str]:
    """The command lines that name something in a directory."""
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        # They come and go.
        with contextlib.suppress(OSError):
            lines.append(process.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in lines if str(directory) in line]


class Child:
    """One running process; its output goes to a file.

    It is asked to end when the thread that started it ends, so that nothing survives tests that
    were killed. Start it from a thread that lives as long as it is needed.

    :param argv: the command; its first item is looked for in ``environment``'s ``PATH``.
    :param output: is appended to.
    """

    def __init__(self, argv: Sequence[str], *, environment: Mapping[str, str], directory: Path, output: Path) -> None:
        self.output = output
        with output.open("ab") as sink:
            self._process = subprocess.Popen(
                ["/usr/bin/setpriv", "--pdeathsig", "TERM", "--", *argv],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=directory,
                # A Ctrl-C is for the tests, which then end their children in order.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """What it ended with, negative for a signal; none: it runs."""
        return self._process.poll()

    def said(self) -> str:
        """The last of what it wrote, as one line."""
        return " ".join(self.output.read_text(errors="replace").split())[-500:] or "nothing"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        self._process.send_signal(number)

    def wait(self, timeout: float) -> int:
        """Wait until it has ended by itself.

        :returns: what it ended with.
        :raises AssertionError: it still runs after ``timeout`` seconds.
        """
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"process {self.pid} still runs after {timeout:g} s; see {self.output}") from None

    def terminate(self, timeout: float) -> int:
        """Ask it to end, and wait; one that does not is killed.

        :returns: what it ended with.
        :raises AssertionError: it had to be killed.
        """
        self.signal(signal.SIGTERM)
        try:
            return self.wait(timeout)
        except AssertionError:
            self.kill()
            raise

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()


def plain_environment(home: Path) -> dict[str, str]:
    """What a child needs of our environment, and nothing that would change how it behaves."""
    system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": system, "HOME": str(home), "LANG": "C.UTF-8", "TMPDIR": os.environ.get("TMPDIR", "/tmp")}
