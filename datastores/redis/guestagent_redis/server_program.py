"""Asking the server's program, without starting a server, what it thinks of a configuration."""

import re
from pathlib import Path

import msgspec

from guestagent.contract.errors import DatastoreError, SystemFailure
from guestagent.system import command

SECONDS = 60

ERROR = re.compile(r"^\d+:[A-Z] .*? # (?!oO0|\w+ version=|Configuration loaded|Server initialized|WARNING)(.*)")
"""What the server says loudly in its log, without what it says so at every start."""

END = "the-end-of-the-configuration"
"""A directive that no server knows: one that gets as far has taken everything before it, and ends."""

_COMPLAINT = re.compile(r"^>>> '(.*)'\n(.+)$", re.MULTILINE)
_VERSION = re.compile(r"\bv=(\d+)\.(\d+)\.(\d+)")


class Complaint(msgspec.Struct, frozen=True):
    """What a server does not take.

    :ivar line: the line of its configuration.
    :ivar words: what it says about it.
    """

    line: str
    words: str


class ServerProgram:
    """The server's program.

    :param program: an absolute path.
    :param account: whom it runs as.
    """

    def __init__(self, program: str, account: str | None) -> None:
        self._program = program
        self._account = account

    def version(self) -> tuple[int, int, int]:
        """The program's version.

        :raises DatastoreError: it does not tell.
        :raises SystemFailure: it cannot be run.
        """
        said = command.run([self._program, "--version"], timeout=SECONDS, user=self._account).stdout
        if match := _VERSION.search(said):
            major, minor, patch = map(int, match.groups())
            return major, minor, patch
        raise DatastoreError(subject=f"Asking {self._program} for its version", problem=f"it says {said[:200]!r}")

    def judge(self, configuration: Path) -> Complaint | None:
        """Let the program read a configuration; none: it takes all of it. A running server notices nothing.

        It says what it thinks of the first line that it does not take.

        :raises SystemFailure: the program cannot be run.
        """
        argv = [self._program, str(configuration), f"--{END}", "yes"]
        done = command.run(argv, timeout=SECONDS, user=self._account, accept=range(128))
        found = _COMPLAINT.search(done.stderr + done.stdout)
        if found is None:
            raise SystemFailure(subject=self._program, problem=f"it ended with code {done.code} and gave no reason")
        return None if found[1].startswith(END) else Complaint(found[1], found[2].strip())
