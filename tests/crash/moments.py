"""Where in an operation's life an agent can die, and the two files in which tests and the agent speak of it."""

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Self

ACCEPTING, ACCEPTED, TURN = "accepting", "accepted", "turn"
"""Before the journal has the operation; when it has, and the broker does not know; when its turn has come."""
BEFORE, BEGUN, INSIDE, AFTER, NOTED = "before", "begun", "inside", "after", "noted"
"""Of a step: before the journal hears of it, when it has, in the middle of it, when it is done, and noted as done."""
UNDOING, UNDONE = "undoing", "undone"
"""Of a step that is taken back: before that, and when it is done and not noted."""
ENDING, ENDED = "ending", "ended"
"""Before the journal has the end; when it has, and nobody was told."""

KINDS = (ACCEPTING, ACCEPTED, TURN, BEFORE, BEGUN, INSIDE, AFTER, NOTED, UNDOING, UNDONE, ENDING, ENDED)


@dataclasses.dataclass(frozen=True)
class Moment:
    """One moment of one operation.

    :ivar call: the operation's call.
    :ivar kind: one of :data:`KINDS`.
    :ivar plan: of a step; so is ``step``.
    :ivar place: the function that has just returned, and who called it, of the kind ``inside``.
    """

    call: str
    kind: str
    plan: str = ""
    step: str = ""
    place: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.call, self.plan, self.step, self.kind, self.place) if part)

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read what :meth:`line` wrote."""
        return cls(*line.split("\t"))

    def line(self) -> str:
        """The moment as a line of a file."""
        return "\t".join(dataclasses.astuple(self))


@dataclasses.dataclass(frozen=True)
class Script:
    """What an agent is to do at which moment, in a directory that it shares with the test.

    :ivar directory: holds ``deadly``, the moments at which agents die, one after another; ``stopping``, the moment
        at which one stops until it is told to go on; and ``passed``, what an agent has passed since the file was made.
    """

    directory: Path

    @property
    def deadly(self) -> Path:
        return self.directory / "deadly"

    @property
    def stopping(self) -> Path:
        return self.directory / "stopping"

    @property
    def passed(self) -> Path:
        return self.directory / "passed"

    def kill_at(self, *moments: Moment) -> None:
        """Have the agent die at the first of the moments, the next one at the second, and so on."""
        _write(self.deadly, moments)

    def stop_at(self, moment: Moment) -> None:
        """Have the agent stop there, as by a debugger; SIGCONT lets it go on."""
        _write(self.stopping, [moment])

    def record(self) -> None:
        """Have the agent write down what it passes."""
        self.passed.write_text("")

    def recorded(self) -> list[Moment]:
        """What was passed since :meth:`record`, which ends with this."""
        found = [Moment.parse(line) for line in self.passed.read_text().splitlines()]
        self.passed.unlink()
        return list(dict.fromkeys(found))

    def clear(self) -> None:
        """Let the agent live."""
        for path in (self.deadly, self.stopping, self.passed):
            path.unlink(missing_ok=True)

    def looks_inside(self) -> bool:
        """Whether what is in the middle of a step is of interest."""
        awaited = [moment for path in (self.deadly, self.stopping) for moment in _read(path)[:1]]
        return self.passed.exists() or any(moment.kind == INSIDE for moment in awaited)

    def take(self, path: Path, moment: Moment) -> bool:
        """Whether the first moment of a file is this one, which it then no longer has."""
        awaited = _read(path)
        if not awaited or awaited[0] != moment:
            return False
        _write(path, awaited[1:])
        return True


def _read(path: Path) -> list[Moment]:
    with contextlib.suppress(FileNotFoundError):
        return [Moment.parse(line) for line in path.read_text().splitlines()]
    return []


def _write(path: Path, moments: Sequence[Moment]) -> None:
    path.write_text("".join(f"{moment.line()}\n" for moment in moments))
