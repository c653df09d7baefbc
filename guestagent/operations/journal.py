"""The journal: every operation and its steps, written down before they happen and when they have."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from guestagent.contract.errors import GuestAgentError
from guestagent.contract.operations import CodePath, OperationDetails, OperationState, StepDetails
from guestagent.operations.operation import Operation, Request
from guestagent.operations.store import Store
from guestagent.operations.vault import Vault

RUNNING, DONE, FAILED, UNDONE = "running", "done", "failed", "undone"
"""The states of a step."""


class Duplicate(GuestAgentError):
    """The journal has the operation already: the broker delivered its message again, or somebody asked again."""

    id = "operation.duplicate"
    sentence = "'{operation}' (request {request_id}) is operation {operation_id} already and is not done twice."


class StepRecord(msgspec.Struct, frozen=True):
    """What is known of a step from earlier: its state, and what was kept for its undoing."""

    state: str
    kept: Any = None


class PlanRecord(msgspec.Struct, frozen=True):
    """What is known of a plan from earlier.

    :ivar steps: those that were begun, by name.
    :ivar error: the sentence with which it failed; none: it did not.
    :ivar inner: the names of the plans inside its steps.
    :ivar is_over: another plan, which is not inside of it, was begun after it.
    """

    steps: Mapping[str, StepRecord] = msgspec.field(default_factory=dict)
    error: str | None = None
    inner: frozenset[str] = frozenset()
    is_over: bool = False


class Unfinished(msgspec.Struct, frozen=True):
    """An operation that an earlier agent did not live to the end of, or to tell the end of.

    :ivar attempts: how many agents have taken it up so far.
    :ivar ended: the sentence with which it ended, empty for a good end; none: it has not.
    """

    id: str
    name: str
    request_id: str
    path: CodePath
    request: Request
    has_steps: bool
    attempts: int
    ended: str | None


class Journal:
    """The operations of this guest.

    :param store: the file.
    :param vault: seals what may hold secrets.
    :param keep: gives how many operations that have ended are kept.
    """

    def __init__(self, store: Store, vault: Vault, keep: Callable[[], int]) -> None:
        self._store = store
        self._vault = vault
        self._keep = keep

    def accept(self, operation: Operation) -> None:
        """Write an operation down.

        :raises Duplicate: it is there already.
        :raises SystemFailure: the disk refuses.
        """
        request = operation.request
        if request is None:
            return
        sealed = self._vault.seal([request.arguments, request.context])
        with self._store.change() as connection:
            known = connection.execute(
                "SELECT id FROM operations WHERE message_id = ? OR (call = ? AND subject = ? AND state <> ?)",
                (request.message_id, operation.name, request.subject, OperationState.FAILED.value),
            ).fetchone()
            if known:
                raise Duplicate(operation=operation.name, request_id=operation.request_id, operation_id=known["id"])
            now = time.time()
            connection.execute(
                "INSERT INTO operations (id, namespace, call, request_id, message_id, subject, awaited, path, state,"
                " sealed, accepted, started, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    operation.id,
                    request.namespace,
                    operation.name,
                    operation.request_id,
                    request.message_id,
                    request.subject,
                    request.awaited,
                    operation.path.value,
                    operation.state.value,
                    sealed,
                    operation.accepted_at,
                    now if operation.state is OperationState.RUNNING else None,
                    now,
                ),
            )

    def begin(self, operation: Operation) -> None:
        """Its turn has come; one that nobody accepted is accepted now.

        :raises SystemFailure: the disk refuses.
        """
        if operation.request is None:
            return
        # Until it has a step to undo, one that begins again has done nothing.
        with self._store.change(synced=False) as connection:
            now = time.time()
            begun = connection.execute(
                "UPDATE operations SET state = ?, path = ?, started = coalesce(started, ?), updated = ? WHERE id = ?",
                (operation.state.value, operation.path.value, now, now, operation.id),
            )
            is_known = begun.rowcount > 0
        if not is_known:
            self.accept(operation)

    def end(self, operation: Operation) -> None:
        """It has ended. What it was asked for is forgotten, as soon as everybody who should has been told.

        Repeating it is safe, also when everybody has been told meanwhile.

        :raises SystemFailure: the disk refuses.
        """
        if operation.request is None:
            return
        told = operation.request.awaited
        with self._store.change() as connection:
            now = operation.ended_at or time.time()
            connection.execute(
                "UPDATE operations SET state = ?, updated = ?, ended = ?, error = ?, told = max(told, ?),"
                " sealed = CASE WHEN ? THEN NULL ELSE sealed END WHERE id = ?",
                (
                    operation.state.value,
                    now,
                    now,
                    str(operation.error) if operation.error else None,
                    told,
                    told,
                    operation.id,
                ),
            )
            connection.execute(
                "UPDATE steps SET kept = NULL WHERE operation = (SELECT number FROM operations WHERE id = ?)",
                (operation.id,),
            )
            if operation.state is OperationState.DONE:
                # The code path that continues nothing does not note that a step is done.
                connection.execute(
                    "UPDATE steps SET state = ?, ended = ? WHERE state = ?"
                    " AND operation = (SELECT number FROM operations WHERE id = ?)",
                    (DONE, now, RUNNING, operation.id),
                )
            connection.execute(
                "DELETE FROM operations WHERE told AND number <= (SELECT number FROM operations"
                " WHERE ended IS NOT NULL ORDER BY number DESC LIMIT 1 OFFSET ?)",
                (self._keep(),),
            )

    def tell(self, operation_id: str, error: GuestAgentError | None) -> None:
        """Everybody has been told how it ended; where the disk refused to take the end, it is written now.

        :param error: what it ended with; none: it is done.
        :raises SystemFailure: the disk refuses.
        """
        # The conductor bears to be told twice.
        with self._store.change(synced=False) as connection:
            connection.execute(
                "UPDATE operations SET told = 1, sealed = NULL, state = iif(ended IS NULL, ?, state),"
                " error = iif(ended IS NULL, ?, error), ended = coalesce(ended, ?) WHERE id = ?",
                (
                    OperationState.after(error).value,
                    None if error is None else str(error),
                    time.time(),
                    operation_id,
                ),
            )

    def count_attempt(self, operation_id: str) -> None:
        """Another agent takes it up.

        :raises SystemFailure: the disk refuses.
        """
        with self._store.change() as connection:
            connection.execute("UPDATE operations SET attempts = attempts + 1 WHERE id = ?", (operation_id,))

    def plan(self, operation: Operation, plan: str) -> PlanRecord:
        """What is known of a plan from earlier.

        :raises SystemFailure: what was kept cannot be opened.
        """
        if not (operation.resumed or operation.given_up):
            return PlanRecord()
        rows = self._store.fetch(
            "SELECT steps.* FROM steps JOIN operations ON operations.number = operation WHERE id = ?",
            (operation.id,),
        )
        failed = self._store.fetch(
            "SELECT plans.error FROM plans JOIN operations ON operations.number = operation WHERE id = ? AND name = ?",
            (operation.id, plan),
        )
        steps = {
            row["name"]: StepRecord(row["state"], None if row["kept"] is None else self._vault.open(row["kept"]))
            for row in rows
            if row["plan"] == plan
        }
        inner = frozenset(row["plan"] for row in rows if row["plan"].startswith(f"{plan} / "))
        last = max((row["number"] for row in rows if row["plan"] in {plan, *inner}), default=0)
        is_over = any(row["number"] > last and not plan.startswith(f"{row['plan']} / ") for row in rows)
        return PlanRecord(steps, failed[0]["error"] if failed else None, inner, is_over)

    def begin_step(self, operation: Operation, plan: str, step: str, kept: Any = None) -> None:
        """A step will be done now; what its undoing has to know is on disk first, and is never replaced.

        :raises SystemFailure: the disk refuses.
        """
        sealed = None if kept is None or operation.request is None else self._vault.seal(kept)
        self._write_step(
            operation,
            "INSERT INTO steps (operation, plan, name, state, kept, started) SELECT number, ?, ?, ?, ?, ?"
            " FROM operations WHERE id = ? ON CONFLICT (operation, plan, name)"
            " DO UPDATE SET state = excluded.state, ended = NULL, error = NULL",
            (plan, step, RUNNING, sealed, time.time(), operation.id),
        )

    def end_step(self, operation: Operation, plan: str, step: str, state: str, error: str | None = None) -> None:
        """A step is done, has failed, or is undone; what it failed with stays when it is undone.

        :raises SystemFailure: the disk refuses.
        """
        now = time.time()
        # A step that was done and is not known to be is done once more, which is harmless.
        self._write_step(
            operation,
            "INSERT INTO steps (operation, plan, name, state, started, ended, error) SELECT number, ?, ?, ?, ?, ?, ?"
            " FROM operations WHERE id = ? ON CONFLICT (operation, plan, name) DO UPDATE SET"
            " state = excluded.state, ended = excluded.ended, error = coalesce(excluded.error, error)",
            (plan, step, state, now, now, error, operation.id),
            synced=False,
        )

    def fail_plan(self, operation: Operation, plan: str, error: str) -> None:
        """A plan has failed, and its steps will be undone now.

        :raises SystemFailure: the disk refuses.
        """
        self._write_step(
            operation,
            "INSERT OR REPLACE INTO plans (operation, name, error) SELECT number, ?, ? FROM operations WHERE id = ?",
            (plan, error, operation.id),
        )

    def unfinished(self) -> Iterator[Unfinished]:
        """What earlier agents left, in the order in which it was accepted.

        One whose request cannot be opened any more has neither arguments nor a context.
        """
        rows = self._store.fetch(
            "SELECT *, EXISTS (SELECT 1 FROM steps WHERE operation = operations.number) AS has_steps"
            " FROM operations WHERE NOT told ORDER BY number"
        )
        for row in rows:
            yield self._unfinished(row)

    def list(self, limit: int) -> "list[OperationDetails]":
        """The newest operations, newest first."""
        rows = self._store.fetch("SELECT * FROM operations ORDER BY number DESC LIMIT ?", (max(limit, 0),))
        return [_details(row) for row in rows]

    def show(self, operation_id: str) -> OperationDetails | None:
        """An operation with its steps; none: it is not kept."""
        found = self._store.fetch("SELECT * FROM operations WHERE id = ?", (operation_id,))
        if not found:
            return None
        details = _details(found[0])
        steps = self._store.fetch("SELECT * FROM steps WHERE operation = ? ORDER BY number", (found[0]["number"],))
        details.steps = [
            StepDetails(row["plan"], row["name"], row["state"], row["started"], row["ended"], row["error"])
            for row in steps
        ]
        return details

    def _write_step(
        self, operation: Operation, statement: str, values: tuple[Any, ...], *, synced: bool = True
    ) -> None:
        if operation.request is None:
            return
        with self._store.change(synced=synced) as connection:
            connection.execute(statement, values)
            connection.execute("UPDATE operations SET updated = ? WHERE id = ?", (time.time(), operation.id))

    def _unfinished(self, row: sqlite3.Row) -> Unfinished:
        try:
            arguments, context = self._vault.open(row["sealed"]) if row["sealed"] else ({}, {})
        except GuestAgentError:
            arguments, context = None, {}
        request = Request(row["namespace"], arguments, context, row["message_id"], row["subject"], bool(row["awaited"]))
        return Unfinished(
            id=row["id"],
            name=row["call"],
            request_id=row["request_id"],
            path=CodePath(row["path"]),
            request=request,
            has_steps=bool(row["has_steps"]),
            attempts=row["attempts"],
            ended=None if row["ended"] is None else row["error"] or "",
        )


class NoJournal(Journal):
    """For managers that are asked by hand, as in a plugin's own tests: no operation of theirs has a request."""

    def __init__(self) -> None:
        """Nothing is kept."""

    def plan(self, operation: Operation, plan: str) -> PlanRecord:
        return PlanRecord()

    def list(self, limit: int) -> "list[OperationDetails]":
        return []

    def show(self, operation_id: str) -> OperationDetails | None:
        return None


def _details(row: sqlite3.Row) -> OperationDetails:
    state = OperationState(row["state"])
    return OperationDetails(
        id=row["id"],
        call=row["call"],
        request_id=row["request_id"],
        engine=row["path"],
        state=row["state"],
        phase=None,
        percent=100.0 if state is OperationState.DONE else None,
        cancellable=state is OperationState.QUEUED,
        accepted=row["accepted"],
        started=row["started"],
        updated=row["updated"],
        ended=row["ended"],
        error=row["error"],
    )
