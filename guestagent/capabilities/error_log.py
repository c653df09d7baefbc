"""Why a server failed, in its own words."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from guestagent.contract.errors import DatastoreError, SystemFailure
from guestagent.system import files

LONGEST = 1 << 16
REASONS = 3


class ErrorLog:
    """The server's error log.

    :param path: the server's account may write there, so that a link is not followed.
    :param error: finds an error in a line; its group is what the server says.
    """

    def __init__(self, path: Path, error: "re.Pattern[str]") -> None:
        self._path = path
        self._error = error

    def size(self) -> int:
        """Where the next message will stand, in bytes."""
        try:
            return self._path.lstat().st_size
        except FileNotFoundError:
            return 0

    def reasons(self, since: int) -> str:
        """The first errors after a place, the ones that the others follow from; empty: there are none."""
        text = files.read_part(self._path, since, LONGEST)
        errors = [found[1].strip() for line in text.splitlines() if (found := self._error.search(line))]
        return "; ".join(errors[:REASONS])

    @contextlib.contextmanager
    def explaining(self, subject: str) -> Iterator[None]:
        """Have a program of the server's that fails in the block say why.

        :param subject: begins the sentence: ``Making the data directory``.
        :raises DatastoreError: it failed, in the words that the log has since, otherwise in its own.
        """
        since = self.size()
        try:
            yield
        except SystemFailure as error:
            raise DatastoreError(subject=subject, problem=self.reasons(since) or error.facts["problem"]) from error
