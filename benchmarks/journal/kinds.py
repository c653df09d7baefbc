"""The kinds of operations that are measured, and how one of them is done."""

import dataclasses
import itertools
from collections.abc import Mapping
from pathlib import Path

from benchmarks.journal.guest import DATABASES, TrivialGuest, message
from benchmarks.journal.stopwatch import TimedJournal
from guestagent.conf import operations as options
from guestagent.contract.operations import CodePath
from guestagent.operations.plan import Plan, Step
from guestagent.operations.store import Store
from guestagent.operations.vault import Vault

MICROSECONDS = 1e6
STEPS = 10
"""As many as prepare has, more or less."""
KEPT = {"path": "/etc/database/conf.d/50-settings.cnf", "content": "setting = value\n" * 32}
"""What an undo gets: an earlier configuration."""
KEEP = next(option.default for option in options.OPTIONS if option.dest == "keep")

Guest = TrivialGuest[TimedJournal]


@dataclasses.dataclass(frozen=True)
class Kind:
    """What is done once.

    :ivar label: in the table.
    :ivar awaited: by a caller; otherwise the conductor hears of the end.
    :ivar steps: of its plan. The cost is that of one of them, and where there are none that of the operation.
    :ivar path: how the plan is carried out.
    :ivar undoable: every step keeps something for its undoing.
    """

    label: str
    awaited: bool = True
    steps: int = 0
    path: CodePath = CodePath.LEGACY
    undoable: bool = False


CALL = "call"
KINDS: Mapping[str, Kind] = {
    CALL: Kind("operation, a call"),
    "cast": Kind("operation, a cast, its end told", awaited=False),
    "legacy": Kind("step, legacy", steps=STEPS),
    "legacy-undo": Kind("step, legacy, can be undone", steps=STEPS, undoable=True),
    "convergence": Kind("step, convergence", steps=STEPS, path=CodePath.CONVERGENCE),
    "convergence-undo": Kind("step, convergence, can be undone", steps=STEPS, path=CodePath.CONVERGENCE, undoable=True),
}


def guest(directory: Path) -> Guest:
    """A guest with a journal as full as it gets: every operation that ends pushes an old one out."""

    def journal(store: Store, state_dir: Path) -> TimedJournal:
        return TimedJournal(store, Vault(state_dir), keep=lambda: KEEP)

    made = TrivialGuest(directory / "state", journal)
    for _ in range(KEEP):
        do(made, KINDS[CALL])
    return made


def do(guest: Guest, kind: Kind) -> list[float]:
    """Let the guest do it, and return the microseconds that it waited for its journal.

    :returns: one value for the operation; or one for each step but the first, from where the step before it was
        done to where it was done.
    """
    marks: list[float] = []

    def mark() -> None:
        marks.append(guest.journal.seconds)

    keep, undo = ((lambda: KEPT), (lambda kept: None)) if kind.undoable else (None, None)
    guest.manager.plan = Plan("restart", [Step(f"step {n}", mark, keep=keep, undo=undo) for n in range(kind.steps)])
    guest.path = kind.path
    incoming = message("restart") if kind.steps else message("create_database", DATABASES, awaited=kind.awaited)
    before = guest.journal.seconds
    guest.dispatch(incoming)
    guest.wait_until_idle()
    spent = itertools.pairwise(marks if kind.steps else [before, guest.journal.seconds])
    return [(later - earlier) * MICROSECONDS for earlier, later in spent]
