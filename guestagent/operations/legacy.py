"""The code path ``legacy``: in memory, as agents of this kind have always done it."""

from typing import Any

from guestagent.operations.engine import Engine
from guestagent.operations.journal import StepRecord
from guestagent.operations.plan import Plan, Step


class LegacyEngine(Engine):
    """Writes down only what must be taken back when the agent dies; it continues nothing."""

    def is_done(self, step: Step, record: StepRecord | None) -> bool:
        return False

    def note_begin(self, plan: Plan, step: Step, kept: Any) -> None:
        if step.undo is not None:
            self.journal.begin_step(self.operation, plan.name, step.name, kept)

    def note_done(self, plan: Plan, step: Step) -> None:
        pass
