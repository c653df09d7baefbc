"""What the measurement has to know of a family of databases."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from benchmarks.backup.instance import Instance
from benchmarks.backup.traffic import Traffic
from benchmarks.budgets import ENCRYPTING_WORKER, QUIET, WORKER, Budget
from guestagent.backup.job import ServerFacts


class Way(Protocol):
    """How backups are made and restored."""

    def back_up(self, server: ServerFacts) -> None:
        """Make a full backup in place of the last one."""

    def restore(self, server: ServerFacts) -> None:
        """Make a data directory of the last one."""

    def forget(self) -> None:
        """Remove what was backed up."""

    @property
    def files(self) -> list[Path]:
        """What was backed up."""


@dataclasses.dataclass(frozen=True)
class Family:
    """A family of databases.

    :ivar name: of the datastore.
    :ivar part: where the figures are in the JSON.
    :ivar strategy: by which the agent backs it up.
    :ivar instance: puts one together, in a directory with a short name, reachable for the server's account.
    :ivar bare: the ways that the agent is compared with, each in a directory that it makes.
    :ivar budgets: of the agent.
    :ivar slow: ways that are measured once and only back up.
    :ivar ask: a client whose queries are counted while a backup is made; none: nobody asks anything.
    """

    name: str
    part: str
    strategy: str
    instance: Callable[[Path], Instance]
    bare: Mapping[str, Callable[[Path], Way]]
    budgets: Sequence[Budget]
    slow: Mapping[str, Callable[[Path], Way]] = dataclasses.field(default_factory=dict)
    ask: Callable[[Any], Traffic] | None = None

    @property
    def columns(self) -> list[str]:
        """Who is measured, in the table's order."""
        return [*self.bare, WORKER, ENCRYPTING_WORKER, *self.slow, *([QUIET] if self.ask else [])]
