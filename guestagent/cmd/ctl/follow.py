"""Operations while they are carried out: looked at again and again, and shown when they change."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TextIO

import msgspec

from guestagent.cmd.ctl import progress
from guestagent.contract.operations import OperationDetails, OperationState
from guestagent.rpc.local_client import Away

PERIOD = 0.5
"""Seconds between two looks."""

UP, CLEAR_LINE, CLEAR_REST = "\x1b[{}A", "\x1b[K", "\x1b[J"
NO_WRAP, WRAP = "\x1b[?7l", "\x1b[?7h"
"""A line that is wider than it looks must not become two, or the next drawing begins in the wrong place."""

Look = Callable[[], list[OperationDetails]]
"""Asks the agent, for the newest first."""


class Display(Protocol):
    """Where operations are shown."""

    def show(self, changed: Sequence[OperationDetails], running: Sequence[OperationDetails], note: str) -> None:
        """Show what is new.

        :param changed: since the last time, the oldest first.
        :param running: all that have not ended, the oldest first.
        :param note: what there is to say where rows would be expected; empty: nothing.
        """


class Log:
    """A line for each change, for files and for programs that read."""

    def __init__(self, stream: TextIO, *, as_json: bool) -> None:
        self._stream = stream
        self._as_json = as_json

    def show(self, changed: Sequence[OperationDetails], running: Sequence[OperationDetails], note: str) -> None:
        now = time.time()
        for found in changed:
            text = json.dumps(msgspec.to_builtins(found)) if self._as_json else progress.line(found, now)
            self._stream.write(f"{text}\n")
        self._stream.flush()


class Screen:
    """A terminal: a line for each operation that is running, drawn again in its place; what ended stays above."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._drawn = 0
        self._tick = 0

    def show(self, changed: Sequence[OperationDetails], running: Sequence[OperationDetails], note: str) -> None:
        size = shutil.get_terminal_size()
        now = time.time()
        ended = [progress.line(found, now) for found in changed if is_ended(found)]
        # Rows that scroll out of the window can be drawn no more.
        shown = running[: max(size.lines - 2, 1)]
        rows = [progress.live(found, now, self._tick, size.columns) for found in shown]
        if len(running) > len(shown):
            note = note or f"and {len(running) - len(shown)} more"
        if note:
            rows.append(note[: size.columns])
        self._stream.write(redrawn(self._drawn, ended, rows))
        self._stream.flush()
        self._drawn = len(rows)
        self._tick += 1


def redrawn(drawn: int, ended: Iterable[str], rows: Iterable[str]) -> str:
    """What makes a terminal replace so many rows by others, below lines that stay."""
    ended = list(ended)
    parts = [UP.format(drawn) if drawn else ""]
    if ended:
        parts += [CLEAR_REST, *(f"{line}\n" for line in ended)]
    parts += [NO_WRAP, *(f"{row}{CLEAR_LINE}\n" for row in rows), CLEAR_REST, WRAP]
    return "".join(parts)


def display(stream: TextIO, *, as_json: bool) -> Display:
    """What fits where the answer goes."""
    if as_json or not stream.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return Log(stream, as_json=as_json)
    return Screen(stream)


def follow(look: Look, shown: Display, *, patience: float, until: Callable[[OperationDetails], bool]) -> None:
    """Show what changes, until something that was seen is the end of it, or the person has seen enough.

    What had ended before the first look is only shown if it is that end.

    :param patience: seconds that an agent may be away, as one is that is restarted.
    :param until: whether an operation is the last to be seen.
    :raises Away: it has been away for longer.
    """
    known: dict[str, object] | None = None
    running: list[OperationDetails] = []
    answered = time.monotonic()
    while True:
        note, changed = "", []
        try:
            found = look()[::-1]
        except Away:
            if known is None or time.monotonic() - answered > patience:
                raise
            note = "the agent is away; waiting for it"
        else:
            answered = time.monotonic()
            running = [operation for operation in found if not is_ended(operation)]
            changed = [operation for operation in found if _is_news(operation, known, until)]
            known = {operation.id: _state(operation) for operation in found}
        over = any(map(until, changed))
        shown.show(changed, running, note or ("" if running or over else "nothing is running"))
        if over:
            return
        time.sleep(PERIOD)


def _is_news(
    found: OperationDetails, known: dict[str, object] | None, until: Callable[[OperationDetails], bool]
) -> bool:
    if known is None:
        return not is_ended(found) or until(found)
    return known.get(found.id) != _state(found)


def _state(found: OperationDetails) -> object:
    """What a person would call a change; that time has passed is none."""
    return found.state, found.phase, progress.percent(found.percent), found.error


def is_ended(found: OperationDetails) -> bool:
    """Whether nothing more will happen; a state of a newer agent that we do not know is one that may change."""
    return found.state in ENDED


ENDED = {state.value for state in OperationState if state.ended}
