"""The server's programs of each major version, and what they say without a server."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from guestagent.contract.errors import DatastoreError, InvalidValue, SystemFailure
from guestagent.system import command

SECONDS = 60

ERROR = re.compile(r"(?:FATAL|PANIC|ERROR): +(.*)")
"""An error in the server's log."""
_COMPLAINT = re.compile(r"(?:LOG|FATAL|ERROR): +(.*)")
_SUMMARY = re.compile(r'configuration file "[^"]*" contains errors')
_NAME = re.compile(r'parameter "([^"]+)"')
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)\.(\d+)")
_MAJOR = re.compile(r"[1-9]\d")


class Programs:
    """The programs, in a directory for each major version with ``bin`` in it, as Debian has them.

    :param directory: of all versions.
    :param account: whom the server runs as; it does not run as root.
    """

    def __init__(self, directory: Path, account: str | None) -> None:
        self._directory = directory
        self._account = account

    def majors(self) -> list[int]:
        """The versions whose server is here, the newest last."""
        found = (path for path in self._directory.glob("*/bin/postgres") if os.access(path, os.X_OK))
        names = (path.parent.parent.name for path in found)
        return sorted(int(name) for name in names if _MAJOR.fullmatch(name))

    def newest(self) -> int:
        """The newest version.

        :raises InvalidValue: there is none.
        """
        if not (majors := self.majors()):
            problem = "it holds no server; install one, or set [postgresql] versions_dir"
            raise InvalidValue(subject=f"The directory {self._directory}", problem=problem)
        return majors[-1]

    def path(self, major: int, name: str) -> str:
        """Where a program is."""
        return str(self._directory / str(major) / "bin" / name)

    def version(self, major: int) -> tuple[int, int]:
        """The major and minor version of a server.

        :raises DatastoreError: it does not tell.
        :raises SystemFailure: it cannot be run.
        """
        program = self.path(major, "postgres")
        said = command.run([program, "--version"], timeout=SECONDS, user=self._account).stdout
        if match := _VERSION.search(said):
            return int(match[1]), int(match[2])
        raise DatastoreError(subject=f"Asking {program} for its version", problem=f"it says {said[:200]!r}")

    def complaints(self, major: int, arguments: Sequence[str]) -> list[str]:
        """Let a server read its configuration and tell what is wrong with it. A running server notices nothing.

        :param arguments: that it would be started with.
        :returns: what keeps it, or a part of it, from starting, in its own words.
        :raises SystemFailure: it cannot be run.
        """
        argv = [self.path(major, "postgres"), *arguments, "-C", "config_file"]
        done = command.run(argv, timeout=SECONDS, user=self._account, accept=range(128))
        said = [match[1].strip() for line in done.stderr.splitlines() if (match := _COMPLAINT.search(line))]
        if done.code and not said:
            raise SystemFailure(subject=argv[0], problem=f"it ended with code {done.code} and gave no reason")
        told = [complaint for complaint in said if not _SUMMARY.search(complaint)]
        return list(dict.fromkeys(told or said)) if done.code else []


def culprits(complaints: Sequence[str]) -> frozenset[str]:
    """The settings that complaints name, in lower case."""
    return frozenset(name.lower() for complaint in complaints for name in _NAME.findall(complaint))
