"""What the two code paths have in common: steps in order, and the way back when one fails."""

import abc
import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
from oslo_log import log

from guestagent.contract.errors import GuestAgentError, Interrupted, SystemFailure
from guestagent.operations.journal import DONE, FAILED, UNDONE, Journal, PlanRecord, StepRecord
from guestagent.operations.operation import Operation, inside
from guestagent.operations.plan import Plan, Step, StepDone, Watcher
from guestagent.system import waiting

LOG = log.getLogger(__name__)

Begun = list[tuple[Step, Any]]
"""The steps that may have done something, in their order, with what was kept for their undoing."""


class FailedEarlier(GuestAgentError):
    """A plan that an earlier agent could not finish; the sentence is of that time."""

    id = "operation.failed-earlier"
    sentence = "{problem}"


class Engine(abc.ABC):
    """Carries out the plans of one operation.

    :param watch: is told of every step that is done.
    """

    def __init__(self, operation: Operation, journal: Journal, watch: Watcher | None = None) -> None:
        self.operation = operation
        self.journal = journal
        self._watch = watch

    def carry_out(self, plan: Plan) -> None:
        """Do the steps in order. The first that raises ends the plan with its error, and what must not stay is undone.

        :raises GuestAgentError: of the step; of whoever cancelled; or of the time when an earlier agent failed here.
        """
        plan = msgspec.structs.replace(plan, name=f"{self.operation.scope}{plan.name}")
        earlier = self.journal.plan(self.operation, plan.name)
        if self.operation.given_up is not None and earlier.is_over:
            return  # what it did stays; the way back begins where the earlier agent was
        begun: Begun = []
        with self.operation.doing(plan):
            try:
                self._refuse(plan, earlier, begun)
                for number, step in enumerate(plan.steps):
                    self.operation.reach(plan, number, step)
                    self._take(plan, number, step, earlier.steps.get(step.name), begun)
            except BaseException as error:
                self._undo(plan, begun, error)
                raise

    @abc.abstractmethod
    def is_done(self, step: Step, record: StepRecord | None) -> bool:
        """Whether a step need not be done, and what is known of it is no reason to look again."""

    @abc.abstractmethod
    def note_begin(self, plan: Plan, step: Step, kept: Any) -> None:
        """A step will be done now."""

    @abc.abstractmethod
    def note_done(self, plan: Plan, step: Step) -> None:
        """A step is done."""

    def _refuse(self, plan: Plan, earlier: PlanRecord, begun: Begun) -> None:
        """Raise what keeps the plan from going on where an earlier agent left it."""
        problem: GuestAgentError | None = self.operation.given_up
        if earlier.error is not None:
            problem = FailedEarlier(problem=earlier.error)
        elif earlier.steps and not plan.resumable:
            problem = Interrupted(operation=self.operation.name)
        if problem is not None:
            begun += [(step, earlier.steps[step.name].kept) for step in plan.steps if step.name in earlier.steps]
            if problem is self.operation.given_up:
                self._give_up_inside(plan, earlier)
            raise problem

    def _give_up_inside(self, plan: Plan, earlier: PlanRecord) -> None:
        """Lead the way back through the plans inside of steps, where they were left in the middle."""
        for number, step in enumerate(plan.steps):
            record = earlier.steps.get(step.name)
            was_left_well = record is not None and record.state == DONE
            if not was_left_well and any(name.startswith(inside(plan, step)) for name in earlier.inner):
                self.operation.reach(plan, number, step)
                step.do()

    def _take(self, plan: Plan, number: int, step: Step, record: StepRecord | None, begun: Begun) -> None:
        waiting.check()
        if self.is_done(step, record):
            LOG.info("%s: %s was done earlier", plan.name, step.name)
            begun.append((step, record.kept if record else None))
            return
        started = time.monotonic()
        LOG.debug("%s: %s", plan.name, step.name)
        if record is None and step.require is not None:
            step.require()
        kept = record.kept if record else step.keep() if step.keep else None
        self.note_begin(plan, step, kept)
        begun.append((step, kept))
        try:
            with self.operation.interruption.limited(step.name, step.timeout):
                step.do()
        except GuestAgentError as error:
            with _not_vital(step):
                self.journal.end_step(self.operation, plan.name, step.name, FAILED, str(error))
            raise
        with _not_vital(step):
            self.note_done(plan, step)
        done = StepDone(plan.name, step.name, number + 1, len(plan.steps), time.monotonic() - started)
        LOG.info("%s: %s done in %.1f s (%d of %d)", plan.name, step.name, done.seconds, done.number, done.steps)
        if self._watch is not None:
            self._watch(done)

    def _undo(self, plan: Plan, begun: Sequence[tuple[Step, Any]], error: BaseException) -> None:
        undoable = [(step, step.undo, kept) for step, kept in begun if step.undo]
        if not undoable:
            return
        with self.operation.interruption.shielded():
            with contextlib.suppress(SystemFailure):
                # So that an agent that dies meanwhile is followed by one that goes on with it.
                self.journal.fail_plan(self.operation, plan.name, str(error))
            for step, undo, kept in reversed(undoable):
                self._undo_step(plan, step, functools.partial(undo, kept))

    def _undo_step(self, plan: Plan, step: Step, undo: Callable[[], None]) -> None:
        LOG.info("%s: taking back %s", plan.name, step.name)
        # The error that brought us here is the one to tell, and the other steps have to be undone as well.
        try:
            undo()
        except (GuestAgentError, OSError) as problem:
            LOG.error("%s: %s could not be taken back: %s", plan.name, step.name, problem)
            return
        except Exception:
            LOG.exception("%s: taking back %s failed unexpectedly", plan.name, step.name)
            return
        with _not_vital(step):
            self.journal.end_step(self.operation, plan.name, step.name, UNDONE)


@contextlib.contextmanager
def _not_vital(step: Step) -> Iterator[None]:
    """A note whose loss costs no more than a repetition."""
    try:
        yield
    except SystemFailure as problem:
        LOG.error("The journal does not know how %s ended: %s", step.name, problem)
