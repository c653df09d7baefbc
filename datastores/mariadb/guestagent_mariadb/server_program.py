"""Asking the server's program, without starting a server, what it thinks of a configuration."""

import re
from pathlib import Path

import msgspec

from guestagent.contract.errors import DatastoreError, SystemFailure
from guestagent.system import command
from guestagent_mariadb.option_file import bare, normalised

SECONDS = 60

ERROR = re.compile(r"\[ERROR\] (.*)")
"""An error in the server's log."""

_COMPLAINT = re.compile(
    r"\[ERROR\] (?:Buffered error: )?(?:\S*mariadbd: )?(.+)|^(?:\S*mariadbd: |error: |Fatal error )(.+)"
)
_REMARK = re.compile(r"\[Warning\] (?:Buffered warning: )?(?:\S*mariadbd: )?(.*option '-{0,2}([^']+)'.*)")
_NAMES = (
    re.compile(r"unknown variable '([^'=]+)"),
    re.compile(r"(?:unknown|ambiguous) option '-{0,2}([^'=]+)"),
    re.compile(r"Error while setting value '.*' to '([^']+)'"),
    re.compile(r"option '-{0,2}([^']+)' (?:requires|cannot take) an argument"),
)
_VARIABLES = re.compile(r"^Variables \(--variable-name=value\).*?^-+ -+\n(.*?)^$", re.MULTILINE | re.DOTALL)
_VERSION = re.compile(r"Ver (\d+)\.(\d+)\.(\d+)")


class Verdict(msgspec.Struct, frozen=True):
    """What the server thinks of a configuration.

    :ivar complaints: what keeps it, or a part of it, from starting, in its own words.
    :ivar remarks: what it says about options that it takes otherwise than they are written, by name.
    :ivar known: the names, with ``_``, of all options that have a value.
    """

    complaints: tuple[str, ...]
    remarks: dict[str, str]
    known: frozenset[str]

    @property
    def culprits(self) -> frozenset[str]:
        """The options that the complaints name, without prefixes."""
        found = (pattern.search(complaint) for complaint in self.complaints for pattern in _NAMES)
        return frozenset(bare(match[1]) for match in found if match)


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
        said = command.run([self._program, "--no-defaults", "--version"], timeout=SECONDS, user=self._account).stdout
        if match := _VERSION.search(said):
            major, minor, patch = map(int, match.groups())
            return major, minor, patch
        raise DatastoreError(subject=f"Asking {self._program} for its version", problem=f"it says {said[:200]!r}")

    def judge(self, configuration: Path) -> Verdict:
        """Let the program read a configuration and tell what it made of it. A running server notices nothing.

        :raises SystemFailure: the program cannot be run.
        """
        argv = [self._program, f"--defaults-file={configuration}", "--help", "--verbose"]
        done = command.run(argv, timeout=SECONDS, user=self._account, accept=range(128))
        matches = [match for line in done.stderr.splitlines() if (match := _COMPLAINT.search(line))]
        complaints = [(match[1] or match[2]).strip() for match in matches]
        if done.code and not complaints:
            raise SystemFailure(subject=self._program, problem=f"it ended with code {done.code} and gave no reason")
        remarks = {normalised(match[2]): match[1] for match in map(_REMARK.search, done.stderr.splitlines()) if match}
        return Verdict(tuple(dict.fromkeys(complaints)), remarks, _known(done.stdout))


def _known(text: str) -> frozenset[str]:
    table = _VARIABLES.search(text)
    return frozenset(normalised(line.split()[0]) for line in table[1].splitlines()) if table else frozenset()
