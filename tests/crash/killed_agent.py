"""``python -m tests.crash.killed_agent``: the agent as it is, and somebody who kills it when the script says so.

Nothing of the agent knows of this: the methods of the journal and of the engines are wrapped before it starts.
"""

import functools
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import guestagent_mariadb

import guestagent
from guestagent.cmd.guestagent import main
from guestagent.operations.convergence import ConvergenceEngine
from guestagent.operations.engine import Engine
from guestagent.operations.journal import Journal
from guestagent.operations.legacy import LegacyEngine
from guestagent.operations.operation import Operation
from guestagent.operations.plan import Plan, Step
from tests.crash import moments
from tests.crash.moments import Moment, Script

SCRIPT = "CRASH_SCRIPT"
"""The variable of the environment that names the script's directory."""

RUNTIME = Path(guestagent.__file__).parent
PLUGIN = Path(guestagent_mariadb.__file__).parent
TOUCHING = {
    RUNTIME / "system" / "accounts.py": {"ensure"},
    RUNTIME / "system" / "command.py": {"run"},
    RUNTIME / "system" / "files.py": {"ensure_directory", "replacing", "sweep", "write"},
    RUNTIME / "system" / "plain.py": {"_forget", "_spawn", "_write", "start", "stop"},
    RUNTIME / "system" / "procfs.py": {"wait"},
    RUNTIME / "system" / "volume.py": {"format_if_empty", "grow", "mount", "unmount"},
    RUNTIME / "system" / "waiting.py": {"pause", "poll"},
    RUNTIME / "operations" / "instance.py": {"change"},
    RUNTIME / "storage" / "local.py": {"delete", "put"},
    PLUGIN / "connection.py": {"execute", "fetch", "shown_certificate"},
}
"""The functions that touch the machine or the server, or that wait for one of them. An agent that dies when one has
returned, as a generator does too when it yields, dies between two such touches."""
FUNCTIONS = {(str(path), name) for path, names in TOUCHING.items() for name in names}
CODE = (str(RUNTIME), str(PLUGIN))


class Killer:
    """Ends or stops this process where the script says so."""

    def __init__(self, script: Script) -> None:
        self._script = script

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
            if event == "return" and _touches(frame.f_code):
                place = _place(frame)
                if place not in seen:
                    seen.add(place)
                    self.pass_by(Moment(operation.name, moments.INSIDE, plan.name, step.name, place))

        sys.setprofile(profile)


def install(killer: Killer) -> None:
    """Wrap what an operation passes through."""
    _around(Journal, "accept", killer, moments.ACCEPTING, moments.ACCEPTED)
    _around(Journal, "begin", killer, None, moments.TURN)
    _around(Journal, "end", killer, moments.ENDING, moments.ENDED)
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
        killer.pass_by(Moment(name, moments.BEFORE, plan.name, step.name))
        note_begin(self, plan, step, kept)
        killer.pass_by(Moment(name, moments.BEGUN, plan.name, step.name))
        killer.look_inside(self.operation, plan, step)

    def done(self: Engine, plan: Plan, step: Step) -> None:
        sys.setprofile(None)
        killer.pass_by(Moment(self.operation.name, moments.AFTER, plan.name, step.name))
        note_done(self, plan, step)
        killer.pass_by(Moment(self.operation.name, moments.NOTED, plan.name, step.name))

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
            killer.pass_by(Moment(self.operation.name, moments.UNDONE, plan.name, step.name))

        killer.pass_by(Moment(self.operation.name, moments.UNDOING, plan.name, step.name))
        undo_step(self, plan, step, undo_and_pass)

    Engine._take = taking  # type: ignore[assignment, method-assign]
    Engine._undo_step = undoing  # type: ignore[method-assign]


def _touches(code: CodeType) -> bool:
    return (code.co_filename, code.co_name) in FUNCTIONS


def _is_tool(code: CodeType) -> bool:
    return code.co_filename.startswith(str(RUNTIME / "system")) or not code.co_filename.startswith(CODE)


def _place(frame: FrameType) -> str:
    """The function, and the nearest one of the agent's that called it and is no mere tool."""
    caller = frame.f_back
    while caller is not None and (_is_tool(caller.f_code) or _touches(caller.f_code)):
        caller = caller.f_back
    named = _named(frame)
    return named if caller is None else f"{named} of {_named(caller)}"


def _named(frame: FrameType) -> str:
    return f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_qualname.replace('.<locals>', '')}"


if __name__ == "__main__":
    install(Killer(Script(Path(os.environ[SCRIPT]))))
    sys.exit(main())
