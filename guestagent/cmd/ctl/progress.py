"""How operations look: a table, one with its steps, a line for a log, a bar that moves."""

import datetime
import math
import time
from collections.abc import Sequence

from guestagent.cmd.ctl import text
from guestagent.contract.operations import OperationDetails, OperationState

BLOCK = 3
"""Cells of the part that moves where nobody knows how much is left."""
NARROWEST = 10
"""Cells of a bar that is worth being drawn."""
CALL = 16
"""Columns of a call's name in a line; most fit."""


def table(operations: Sequence[OperationDetails], now: float) -> str:
    """A line for each, in their order."""
    head = ["ID", "STARTED", "CALL", "STATE", "PHASE", "PERCENT", "SECONDS", "REQUEST", "ERROR"]
    return text.table(
        head,
        [
            [
                found.id,
                moment(found.started),
                found.call,
                found.state,
                found.phase,
                percent(found.percent),
                seconds(found.started, found.ended, now),
                found.request_id,
                found.error,
            ]
            for found in operations
        ],
    )


def one(found: OperationDetails, now: float) -> str:
    """Everything that is known of one, and its steps."""
    facts = text.facts(
        {
            "id": found.id,
            "call": found.call,
            "request": found.request_id,
            "engine": found.engine,
            "state": found.state,
            "phase": found.phase,
            "percent": percent(found.percent),
            "can be cancelled": found.cancellable,
            "accepted": moment(found.accepted),
            "started": moment(found.started),
            "updated": moment(found.updated),
            "ended": moment(found.ended),
            "seconds": seconds(found.started, found.ended, now),
            "error": found.error,
        }
    )
    if not found.steps:
        return facts
    steps = text.table(
        ["PLAN", "STEP", "STATE", "STARTED", "SECONDS"],
        [
            [step.plan, step.name, step.state, moment(step.started), seconds(step.started, step.ended, now)]
            for step in found.steps
        ],
    )
    return f"{facts}\n\n{steps}"


def line(found: OperationDetails, now: float) -> str:
    """How far it is, for a log and for what scrolls by."""
    parts = [moment(found.updated), found.call, found.state]
    if found.percent is not None:
        parts.append(percent(found.percent))
    # The phase of one that is done is only its last.
    if found.phase and found.state != OperationState.DONE.value:
        parts.append(found.phase)
    if found.started is not None:
        parts.append(f"{seconds(found.started, found.ended, now)} s")
    parts.append(f"operation {found.id}")
    if found.error:
        parts.append(found.error)
    return text.GAP.join(map(text.cell, parts))


def live(found: OperationDetails, now: float, tick: int, width: int) -> str:
    """One line of exactly the terminal's width or less: what is done, a bar, for how long, and the phase.

    The bar stands still while the phase changes.

    :param tick: counts the drawings; moves what moves.
    """
    name = text.cell(found.call).ljust(CALL)
    begun = found.accepted if found.started is None else found.started
    passed = text.GAP.join([percent(found.percent).rjust(4), elapsed(now - begun).rjust(7)])
    phase = text.cell("waits for its turn" if found.state == OperationState.QUEUED.value else found.phase or "")
    cells = (width - len(name) - len(passed)) // 2
    drawn = [bar(found.percent if found.started is not None else 0, cells, tick)] if cells >= NARROWEST else []
    return text.GAP.join([name, *drawn, passed, phase]).rstrip()[: max(width, 0)]


def bar(done: float | None, cells: int, tick: int) -> str:
    """So many cells and two brackets: filled as far as it is done, or with a part that goes to and fro.

    :param done: percent; none: nobody knows.
    """
    if done is not None and math.isfinite(done):
        full = round(cells * min(max(done, 0), 100) / 100)
        return f"[{'#' * full}{'.' * (cells - full)}]"
    block = min(BLOCK, cells)
    room = cells - block
    step = tick % (2 * room) if room else 0
    left = min(step, 2 * room - step)
    return f"[{'.' * left}{'#' * block}{'.' * (room - left)}]"


def percent(done: float | None) -> str:
    """Whole percents, and never a hundred before it is."""
    return "-" if done is None or not math.isfinite(done) else f"{math.floor(done)}%"


def seconds(started: float | None, ended: float | None, now: float) -> str | None:
    """How long it took, or has taken until now; none: it has not begun."""
    return None if started is None else f"{max((now if ended is None else ended) - started, 0):.1f}"


def elapsed(passed: float) -> str:
    """Hours, minutes and seconds. A clock that was set back has not made anything begin in the future."""
    try:
        return str(datetime.timedelta(seconds=max(int(passed), 0)))
    except (OverflowError, ValueError):
        return "-"


def moment(when: float | None) -> str | None:
    """A time as the clock on this machine's wall shows it."""
    if when is None:
        return None
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when))
    except (OverflowError, ValueError, OSError):
        return str(when)
