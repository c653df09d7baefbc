"""Agents that die at a given moment, on a machine that is a directory.

An agent lives in a process of its own and ends it in the middle of whatever it does, so that nothing after that
moment is written. The moments are counted: before and after every line of the journal, and at the beginning, in the
middle and at the end of every step and of its undoing.
"""

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from guestagent.contract.errors import GuestAgentError, NotFound
from guestagent.contract.operations import CodePath, OperationDetails
from guestagent.operations.instance import InstanceRecord
from guestagent.operations.journal import Journal, Unfinished
from guestagent.operations.operation import Operation, Request
from guestagent.operations.plan import Plan, Step
from guestagent.operations.queue import OperationQueue
from guestagent.operations.recovery import Recovery
from guestagent.operations.store import Store
from guestagent.operations.vault import Vault

PATIENCE = 60
DIED = 77
SECRET = "correct horse battery staple"
MISSING = NotFound(subject="The device")
OLD, HALF, WHOLE = "old", "half", "whole"
AT_FIRST = {"a": OLD}
"""What is on the machine when the first agent comes."""

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.unit.operations.mortal"])


class Machine:
    """What outlives an agent: the journal, and the effects of steps.

    :ivar state_dir: the agent's.
    """

    def __init__(self, directory: Path) -> None:
        self.state_dir = directory / "state"
        self._effects = directory / "effects"
        self._notes = directory / "notes"
        if not directory.exists():
            for made in (directory, self.state_dir, self._effects):
                made.mkdir()
            for name, text in AT_FIRST.items():
                self.write(name, text)

    @property
    def effects(self) -> dict[str, str]:
        """What steps have done, by their names."""
        return {path.name: path.read_text() for path in sorted(self._effects.iterdir())}

    @property
    def notes(self) -> list[str]:
        """What agents have tried, in its order."""
        return self._notes.read_text().splitlines() if self._notes.exists() else []

    @property
    def died(self) -> str:
        """Where the agent died last."""
        return next(note for note in reversed(self.notes) if note.startswith("died "))

    def note(self, text: str) -> None:
        with self._notes.open("a") as notes:
            print(text, file=notes)

    def read(self, name: str) -> str | None:
        path = self._effects / name
        return path.read_text() if path.exists() else None

    def write(self, name: str, text: str | None) -> None:
        path = self._effects / name
        if text is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(text)

    def reboot(self) -> None:
        """What is volatile is gone."""
        self.write("c", None)

    def copied(self, directory: Path) -> "Machine":
        """A machine that is the same so far."""
        import shutil

        shutil.copytree(self.state_dir.parent, directory)
        return Machine(directory)


Fate = Callable[[str], None]
"""Is told of every moment, and does not return from the last."""


def fate(machine: Machine, moment: int | None) -> Fate:
    """The end at so many moments from now; none: a long life."""
    passed: list[str] = []
    lock = threading.Lock()

    def pass_by(what: str) -> None:
        with lock:
            passed.append(what)
            if len(passed) == moment:
                machine.note(f"died {what}")
                os._exit(DIED)

    return pass_by


class MortalJournal(Journal):
    """A journal whose agent may die before and after every line."""

    def __init__(self, store: Store, machine: Machine, pass_by: Fate) -> None:
        super().__init__(store, Vault(machine.state_dir), lambda: 100)
        self._pass_by = pass_by

    @contextlib.contextmanager
    def _around(self, what: str) -> Iterator[None]:
        self._pass_by(f"before {what}")
        yield
        self._pass_by(f"after {what}")

    def accept(self, operation: Operation) -> None:
        with self._around("it was accepted"):
            super().accept(operation)

    def begin(self, operation: Operation) -> None:
        with self._around("its beginning was noted"):
            super().begin(operation)

    def end(self, operation: Operation) -> None:
        with self._around("its end was noted"):
            super().end(operation)

    def tell(self, operation_id: str, error: GuestAgentError | None) -> None:
        with self._around("it was noted that its end was told"):
            super().tell(operation_id, error)

    def begin_step(self, operation: Operation, plan: str, step: str, kept: Any = None) -> None:
        with self._around(f"the beginning of {step} was noted"):
            super().begin_step(operation, plan, step, kept)

    def end_step(self, operation: Operation, plan: str, step: str, state: str, error: str | None = None) -> None:
        with self._around(f"{step} was noted as {state}"):
            super().end_step(operation, plan, step, state, error)

    def fail_plan(self, operation: Operation, plan: str, error: str) -> None:
        with self._around(f"the failure of {plan} was noted"):
            super().fail_plan(operation, plan, error)


class Work:
    """What an operation does on a machine.

    :ivar scenario: the method's name; methods return nothing and carry out plans.
    """

    def __init__(self, scenario: str, machine: Machine, pass_by: Fate, carry_out: Callable[[Plan], None]) -> None:
        self._machine = machine
        self._pass_by = pass_by
        self._carry_out = carry_out
        self.do = getattr(self, scenario)

    def one_plan(self) -> None:
        """Every kind of step."""
        self._carry_out(Plan("plan", self._steps()))

    def failing(self) -> None:
        self._carry_out(Plan("plan", [*self._steps(), Step("fail", self._fail)]))

    def two_plans(self) -> None:
        self._carry_out(Plan("first", [self._step("a"), self._step("b")]))
        self._carry_out(Plan("second", [self._step("c"), self._step("d")]))

    def two_plans_failing(self) -> None:
        self._carry_out(Plan("first", [self._step("a"), self._step("b")]))
        self._carry_out(Plan("second", [self._step("c"), Step("fail", self._fail)]))

    def nested(self) -> None:
        inner = Plan("inner", [self._step("b"), self._step("c")])
        self._carry_out(Plan("outer", [self._step("a"), Step("n", lambda: self._carry_out(inner)), self._step("d")]))

    def nested_failing(self) -> None:
        inner = Plan("inner", [self._step("b"), self._step("c")])
        steps = [self._step("a"), Step("n", lambda: self._carry_out(inner)), Step("fail", self._fail)]
        self._carry_out(Plan("outer", steps))

    def _steps(self) -> list[Step]:
        return [
            self._step("a"),
            self._step("b", undone=False, asks=True),
            self._step("c", asks=True, volatile=True),
            self._step("d", undone=False),
        ]

    def _fail(self) -> None:
        raise MISSING

    def _step(self, name: str, *, undone: bool = True, asks: bool = False, volatile: bool = False) -> Step:
        machine, pass_by = self._machine, self._pass_by

        def do() -> None:
            machine.note(f"do {name}")
            pass_by(f"in {name}")
            machine.write(name, HALF)
            pass_by(f"halfway through {name}")
            machine.write(name, WHOLE)
            pass_by(f"at the end of {name}")

        def undo(kept: Any) -> None:
            machine.note(f"undo {name}")
            pass_by(f"before {name} was taken back")
            machine.write(name, kept["before"])
            pass_by(f"when {name} was taken back")

        return Step(
            name,
            do,
            done=(lambda: machine.read(name) == WHOLE) if asks else None,
            keep=(lambda: {"before": machine.read(name), "password": SECRET}) if undone else None,
            undo=undo if undone else None,
            volatile=volatile,
        )


class Agent:
    """One life.

    :param moment: the moment of it that is the last; none: it ends well.
    """

    def __init__(self, machine: Machine, scenario: str, path: CodePath, moment: int | None = None) -> None:
        self._machine = machine
        self._pass_by = fate(machine, moment)
        self.store = Store(machine.state_dir)
        self.journal = MortalJournal(self.store, machine, self._pass_by)
        self.operations = OperationQueue(journal=self.journal, code_path=lambda: path)
        self._work = Work(scenario, machine, self._pass_by, self.operations.carry_out)
        self.told: list[str | None] = []
        record = InstanceRecord(self.store)
        self._recovery = Recovery(record, self.journal, self.operations, self._revive, self._tell)

    def live(self, *, asked: bool) -> None:
        """Take up what was left, do what is asked, and leave.

        :param asked: somebody asks for the work.
        """
        self._recovery.take_up()
        if asked:
            request = Request("", {"password": SECRET}, {}, message_id="m")
            self.operations.enqueue(self._operation("work", request))
        self.operations.drain()
        self.store.close()

    def _operation(self, name: str, request: Request) -> Operation:
        return Operation(name, "req-1", self._work.do, request, self._see_off)

    def _revive(self, one: Unfinished) -> Operation:
        assert one.request.arguments == {"password": SECRET}
        return self._operation(one.name, one.request)

    def _see_off(self, operation: Operation) -> None:
        self._say(operation.id, operation.error)

    def _tell(self, one: Unfinished, error: GuestAgentError | None) -> None:
        self._say(one.id, error)

    def _say(self, operation_id: str, error: GuestAgentError | None) -> None:
        self._machine.note(f"told {error or 'a good end'}")
        self.told.append(str(error) if error else None)
        self.journal.tell(operation_id, error)


def _live(directory: Path, scenario: str, path: CodePath, moment: int, asked: bool) -> None:
    Agent(Machine(directory), scenario, path, moment).live(asked=asked)
    # Nobody waits for threads here.
    os._exit(0)


def dies(machine: Machine, scenario: str, path: CodePath, moment: int, *, asked: bool = True) -> bool:
    """Let an agent live on a machine in a process of its own; whether its life had so many moments."""
    arguments = (machine.state_dir.parent, scenario, path, moment, asked)
    process = _PROCESSES.Process(target=_live, args=arguments)
    process.start()
    process.join(PATIENCE)
    code = process.exitcode
    process.close()
    assert code in (0, DIED), f"an agent ended with {code} {moment} moments after its start"
    return code == DIED


def deaths(directory: Path, scenario: str, path: CodePath) -> Iterator[Machine]:
    """The machine after every death that an agent can die there."""
    for moment in range(1, 1000):
        machine = Machine(directory / str(moment))
        if not dies(machine, scenario, path, moment):
            assert moment > 20, "the moments were not counted"
            return
        yield machine


def taken_up(machine: Machine, scenario: str, path: CodePath) -> OperationDetails | None:
    """Let a later agent, which does not die, take up what was left; the operation as the journal has it then."""
    agent = Agent(machine, scenario, path)
    assert agent.store.set_aside is None
    agent.live(asked=False)
    with contextlib.closing(Store(machine.state_dir)) as store:
        journal = Journal(store, Vault(machine.state_dir), lambda: 100)
        assert list(journal.unfinished()) == [], "something is left to be done or told"
        listed = journal.list(10)
        return journal.show(listed[0].id) if listed else None


def noted(machine: Machine) -> dict[str, str]:
    """The states of the steps that are in the journal, by their names."""
    with contextlib.closing(Store(machine.state_dir)) as store:
        return {row["name"]: row["state"] for row in store.fetch("SELECT name, state FROM steps ORDER BY number")}
