"""An agent's journal as it is on the disk, whether the agent runs or not."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def rows(state_dir: Path, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """What it answers; nothing where there is none."""
    path = state_dir / "journal.db"
    if not path.exists():
        return []
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as journal:
        return journal.execute(statement, values).fetchall()


def is_told(state_dir: Path, request_id: str) -> bool:
    """Whether a request has ended, and everybody knows of it."""
    return bool(rows(state_dir, "SELECT 1 FROM operations WHERE request_id = ? AND told", request_id))


def litter(state_dir: Path) -> Iterator[str]:
    """What must not be in it when the guest is at rest, in words."""
    for call, state, told, is_sealed in rows(state_dir, "SELECT call, state, told, sealed IS NOT NULL FROM operations"):
        if state in ("queued", "running"):
            yield f"'{call}' is {state} in the journal"
        if not told:
            yield f"the end of '{call}' is not told"
        if is_sealed:
            yield f"the journal still has the arguments of '{call}'"
    for plan, step in rows(state_dir, "SELECT plan, name FROM steps WHERE kept IS NOT NULL"):
        yield f"the journal still has what '{step}' of '{plan}' has kept"
