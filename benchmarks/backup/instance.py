"""The instance that is backed up: a real server, prepared as the agent prepares it, with data in it."""

import abc
import contextlib
import shutil
from collections.abc import Iterator
from typing import Any, Self

from guestagent.backup.job import ServerFacts
from guestagent.capabilities.backups import BackedUp
from guestagent.system import files
from tests.support.machine import Machine

NAME, PASSWORD = "keeper", "Sleekit-cowrin-1"
"""The user whose data they are."""


class Instance(abc.ABC):
    """A machine with a running server; a context manager that stops it.

    :param machine: in a directory on the disk that is measured.
    :param manager: of its server.
    """

    def __init__(self, machine: Machine[Any], manager: BackedUp) -> None:
        self._place = machine
        self._server = manager

    def __enter__(self) -> Self:
        self.prepare()
        return self

    def __exit__(self, *error: object) -> None:
        self._place.close()

    @abc.abstractmethod
    def prepare(self) -> None:
        """Prepare it as a control plane has it prepared, with the user."""

    @abc.abstractmethod
    def fill(self, size: int) -> None:
        """Make so many bytes of data, and have them where they stay: nothing of them waits to be written."""

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """Bytes of its data."""

    @contextlib.contextmanager
    def backed_up(self) -> Iterator[ServerFacts]:
        """What is told to who backs it up."""
        with self._server.backed_up_server() as facts:
            yield facts

    @contextlib.contextmanager
    def restored(self) -> Iterator[ServerFacts]:
        """An empty directory for a restore, as the data directory of what is told to who restores; removed again."""
        target = self._place.volume / "restored"
        facts = self._server.restored_server(target)
        files.ensure_directory(target, mode=0o700, owner=facts.account, group=facts.account)
        try:
            yield facts
        finally:
            shutil.rmtree(target)
