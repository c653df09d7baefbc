"""The agent as it is, and somebody who kills it where a script says so; run by its path, beside any agent.

Nothing of the agent knows of this: the methods of the journal and of the engines are wrapped before it starts. An image
has nothing of the kit, so that this file imports nothing of it either.
"""

import contextlib
import dataclasses
import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Self

from guestagent.cmd.guestagent import main
from guestagent.operations.convergence import ConvergenceEngine
from guestagent.operations.engine import Engine
from guestagent.operations.journal import Journal
from guestagent.operations.legacy import LegacyEngine
from guestagent.operations.operation import Operation
from guestagent.operations.plan import Plan, Step

SCRIPT = "CRASH_SCRIPT"
"""The variable of the environment that names the script's directory."""

TOUCHING: Mapping[str, Collection[str]] = {
    "guestagent.system.accounts": {"ensure"},
    "guestagent.system.command": {"run"},
    "guestagent.system.files": {"ensure_directory", "replacing", "sweep", "write"},
    "guestagent.system.plain": {"_forget", "_spawn", "_write", "start", "stop"},
    "guestagent.system.procfs": {"wait"},
    "guestagent.system.volume": {"format_if_empty", "grow", "mount", "unmount"},
    "guestagent.system.waiting": {"pause", "poll"},
    "guestagent.operations.instance": {"change"},
    "guestagent.storage.local": {"delete", "put"},
}
"""The functions that touch the machine, or wait for it, by their modules. An agent that dies when one has returned, as
a generator does too when it yields, dies between two such touches."""
TOOLS = "guestagent.system."

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
        at which one stops until it is told to go on; ``passed``, what an agent has passed since the file was made; and
        ``touching``, the functions of the plugin that are as those of :data:`TOUCHING`.
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

    @property
    def touching(self) -> Path:
        return self.directory / "touching"

    def look_for(self, touching: Mapping[str, Collection[str]]) -> None:
        """Have agents die behind these functions of the plugin too: by their modules."""
        lines = [f"{module}\t{name}\n" for module, names in touching.items() for name in names]
        self.touching.write_text("".join(lines))

    def looked_for(self) -> Mapping[str, Collection[str]]:
        """All functions behind which an agent can die."""
        found = {module: set(names) for module, names in TOUCHING.items()}
        for line in self.touching.read_text().splitlines():
            module, name = line.split("\t")
            found.setdefault(module, set()).add(name)
        return found

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


class Killer:
    """Ends or stops this process where the script says so."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._touching = script.looked_for()
        self._names = frozenset(name for names in self._touching.values() for name in names)
        self._packages = frozenset(module.partition(".")[0] for module in self._touching)

    def pass_by(self, moment: Moment) -> None:
        """The agent is there."""
        if self._script.passed.exists():
            with self._script.passed.open("a") as stream:
                stream.write(f"{moment.line()}\n")
        if self._script.take(self._script.deadly, moment):
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()
        if self._script.take(self._script.stopping, moment):
            # To this thread, which then stops at once and the others after it. A signal to the process is taken by its
            # first thread, when that gets the time, and this one would go on until then.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)

    def look_inside(self, operation: Operation, plan: Plan, step: Step) -> None:
        """Pass by whatever touches the machine in this thread from now on, each place once."""
        if not self._script.looks_inside():
            # It costs more than what it looks at.
            return
        seen: set[str] = set()

        def profile(frame: FrameType, event: str, argument: Any) -> None:
            if event == "return" and frame.f_code.co_name in self._names and self._touches(frame):
                place = self._place(frame)
                if place not in seen:
                    seen.add(place)
                    self.pass_by(Moment(operation.name, INSIDE, plan.name, step.name, place))

        sys.setprofile(profile)

    def _touches(self, frame: FrameType) -> bool:
        return frame.f_code.co_name in self._touching.get(_module(frame), ())

    def _is_tool(self, frame: FrameType) -> bool:
        module = _module(frame)
        return module.startswith(TOOLS) or module.partition(".")[0] not in self._packages

    def _place(self, frame: FrameType) -> str:
        """The function, and the nearest one of the agent's that called it and is no mere tool."""
        caller = frame.f_back
        while caller is not None and (self._is_tool(caller) or self._touches(caller)):
            caller = caller.f_back
        named = _named(frame)
        return named if caller is None else f"{named} of {_named(caller)}"


def install(killer: Killer) -> None:
    """Wrap what an operation passes through."""
    _around(Journal, "accept", killer, ACCEPTING, ACCEPTED)
    _around(Journal, "begin", killer, None, TURN)
    _around(Journal, "end", killer, ENDING, ENDED)
    for engine in (LegacyEngine, ConvergenceEngine):
        _wrap_notes(engine, killer)
    _wrap_steps(killer)


def _around(owner: type[Any], name: str, killer: Killer, before: str | None, after: str | None) -> None:
    """Pass by before and after a method that gets an operation."""
    method = getattr(owner, name)

    @functools.wraps(method)
    def wrapped(self: Any, operation: Operation) -> None:
        def pass_by(kind: str | None) -> None:
            if kind is not None and operation.request is not None:
                killer.pass_by(Moment(operation.name, kind))

        pass_by(before)
        method(self, operation)
        pass_by(after)

    setattr(owner, name, wrapped)


def _wrap_notes(owner: type[Engine], killer: Killer) -> None:
    note_begin, note_done = owner.note_begin, owner.note_done

    def begin(self: Engine, plan: Plan, step: Step, kept: Any) -> None:
        name = self.operation.name
        killer.pass_by(Moment(name, BEFORE, plan.name, step.name))
        note_begin(self, plan, step, kept)
        killer.pass_by(Moment(name, BEGUN, plan.name, step.name))
        killer.look_inside(self.operation, plan, step)

    def done(self: Engine, plan: Plan, step: Step) -> None:
        sys.setprofile(None)
        killer.pass_by(Moment(self.operation.name, AFTER, plan.name, step.name))
        note_done(self, plan, step)
        killer.pass_by(Moment(self.operation.name, NOTED, plan.name, step.name))

    owner.note_begin = begin  # type: ignore[method-assign]
    owner.note_done = done  # type: ignore[method-assign]


def _wrap_steps(killer: Killer) -> None:
    take, undo_step = Engine._take, Engine._undo_step

    def taking(self: Engine, *arguments: Any) -> None:
        outer = sys.getprofile()
        try:
            take(self, *arguments)
        finally:
            # A step may carry out a plan itself.
            sys.setprofile(outer)

    def undoing(self: Engine, plan: Plan, step: Step, undo: Callable[[], None]) -> None:
        def undo_and_pass() -> None:
            undo()
            killer.pass_by(Moment(self.operation.name, UNDONE, plan.name, step.name))

        killer.pass_by(Moment(self.operation.name, UNDOING, plan.name, step.name))
        undo_step(self, plan, step, undo_and_pass)

    Engine._take = taking  # type: ignore[assignment, method-assign]
    Engine._undo_step = undoing  # type: ignore[method-assign]


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _named(frame: FrameType) -> str:
    return f"{_module(frame).rpartition('.')[2]}.{frame.f_code.co_qualname.replace('.<locals>', '')}"


if __name__ == "__main__":
    install(Killer(Script(Path(os.environ[SCRIPT]))))
    sys.exit(main())
