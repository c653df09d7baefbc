"""The code path ``convergence``: every step is written down ahead, and a later agent takes up where one died."""

from typing import Any

from guestagent.operations.engine import Engine
from guestagent.operations.journal import DONE, StepRecord
from guestagent.operations.plan import Plan, Step


class ConvergenceEngine(Engine):
    """Goes on with the first step that is not done."""

    def is_done(self, step: Step, record: StepRecord | None) -> bool:
        if not self.operation.resumed or record is None:
            return False
        if record.state == DONE and not step.volatile:
            return True
        return step.done is not None and step.done()

    def note_begin(self, plan: Plan, step: Step, kept: Any) -> None:
        self.journal.begin_step(self.operation, plan.name, step.name, kept)

    def note_done(self, plan: Plan, step: Step) -> None:
        self.journal.end_step(self.operation, plan.name, step.name, DONE)
