"""One operation at a time, in the order in which they came."""

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from oslo_log import log

from guestagent.contract.errors import (
    Busy,
    Cancelled,
    GuestAgentError,
    InternalError,
    Leaving,
    NotCancellable,
    NotFound,
    SystemFailure,
)
from guestagent.contract.operations import CodePath, OperationDetails
from guestagent.operations.convergence import ConvergenceEngine
from guestagent.operations.engine import Engine
from guestagent.operations.journal import Journal, NoJournal
from guestagent.operations.legacy import LegacyEngine
from guestagent.operations.operation import Operation
from guestagent.operations.plan import Plan, Watcher

LOG = log.getLogger(__name__)

ENGINES: dict[CodePath, type[Engine]] = {CodePath.LEGACY: LegacyEngine, CodePath.CONVERGENCE: ConvergenceEngine}


class OperationQueue:
    """Changes run in one thread, first come, first served; reads never pass through here.

    :param busy_wait: gives the seconds that a caller waits for its turn.
    :param journal: where operations are written down; none: nowhere.
    :param code_path: gives the way in which the instance's operations are carried out.
    :param watch: is told of every step that is done.
    """

    def __init__(
        self,
        busy_wait: Callable[[], float] = lambda: 0,
        journal: Journal | None = None,
        code_path: Callable[[], CodePath] = lambda: CodePath.LEGACY,
        watch: Watcher | None = None,
    ) -> None:
        self._busy_wait = busy_wait
        self._journal = journal or NoJournal()
        self._code_path = code_path
        self._watch = watch
        self._lock = threading.Lock()
        self._leaving = False
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="operations")
        self._accepted: dict[str, tuple[Operation, Future[Any]]] = {}
        self._current: Operation | None = None
        self._unwritten: dict[str, Operation] = {}

    @property
    def current(self) -> Operation | None:
        """The operation that is running."""
        return self._current

    def enqueue(self, operation: Operation) -> "Future[Any]":
        """Accept an operation that nobody waits for; when this returns, it is in the journal.

        :raises Leaving: the agent is going down.
        :raises Duplicate: it has been accepted already.
        :raises SystemFailure: it cannot be written down, and will not be done.
        """
        with self._lock:
            if self._leaving:
                raise Leaving(operation=operation.name)
            operation.path = self._code_path()
            self._journal.accept(operation)
            return self._submit(operation)

    def resume(self, operation: Operation) -> None:
        """Take up an operation that is in the journal since the days of an earlier agent."""
        with self._lock:
            self._submit(operation)

    def run(self, operation: Operation) -> Any:
        """Do an operation that a caller waits for, and return what it returned.

        It is in the journal from the moment when its turn has come.

        :raises Busy: its turn did not come in time; it was not and will not be started.
        :raises Leaving: the agent is going down.
        """
        with self._lock:
            if self._leaving:
                raise Leaving(operation=operation.name)
            future = self._submit(operation)
        if not operation.started.wait(self._busy_wait()) and future.cancel():
            running = self._current
            raise Busy(
                operation=operation.name,
                running=running.name if running else "an earlier operation",
                request_id=running.request_id if running else "-",
                seconds=running.seconds if running else 0,
            )
        return future.result()

    def carry_out(self, plan: Plan) -> None:
        """Do the steps of a plan of the operation that is running, on the instance's code path.

        :raises GuestAgentError: a step's; what must not stay has been taken back.
        """
        operation = self._current
        if operation is None:
            # Who asks a manager by hand wants what an operation would do, and no trace of it.
            operation = Operation(plan.name, "-", work=lambda: None)
        ENGINES[operation.path](operation, self._journal, self._watch).carry_out(plan)

    def progress(self, done: int, total: int | None) -> None:
        """So much of the step that is running has been done; an unknown whole says nothing."""
        if self._current is not None:
            self._current.progress(done, total)

    def cancel(self, operation_id: str) -> OperationDetails:
        """End an operation early; see :meth:`guestagent.contract.Operations.operation_cancel`."""
        with self._lock:
            operation, future = self._accepted.get(operation_id, (None, None))
            is_waiting = future is not None and future.cancel()
        if operation is None:
            known = self.show(operation_id)
            raise NotCancellable(operation_id=operation_id, operation=known.call, problem="it has ended")
        if is_waiting:
            self._end(operation, Cancelled(operation=operation.name, phase=" before it began"))
        else:
            operation.cancel()
        return self.show(operation_id)

    def list(self, limit: int) -> "list[OperationDetails]":
        """The newest operations, newest first, without their steps."""
        return [self._as_it_is(details) for details in self._journal.list(limit)]

    def show(self, operation_id: str) -> OperationDetails:
        """One operation with its steps.

        :raises NotFound: it is not, or no longer, kept.
        """
        found = self._journal.show(operation_id)
        if found is None:
            raise NotFound(subject=f"Operation {operation_id[:64]!r}")
        return self._as_it_is(found)

    def note_ends(self) -> None:
        """Write down how operations have ended while the disk refused that; repeating it is safe.

        Otherwise the next agent would take them for unfinished.
        """
        for operation in list(self._unwritten.values()):
            with contextlib.suppress(SystemFailure):
                self._journal.end(operation)
                self._unwritten.pop(operation.id, None)

    def drain(self) -> None:
        """Take nothing new, and return when everything that was accepted has been done."""
        with self._lock:
            self._leaving = True
        self._executor.shutdown(wait=True)
        self.note_ends()

    def _submit(self, operation: Operation) -> "Future[Any]":
        future = self._executor.submit(self._run, operation)
        self._accepted[operation.id] = operation, future
        future.add_done_callback(lambda _: self._accepted.pop(operation.id, None))
        return future

    def _run(self, operation: Operation) -> Any:
        self.note_ends()
        with self._lock:
            # Whoever accepted it has listed it by now.
            operation.path = operation.path if operation.resumed or operation.given_up else self._code_path()
        operation.begin()
        self._current = operation
        operation.started.set()
        failure: BaseException | None = None
        try:
            result = self._work(operation)
        except BaseException as error:  # noqa: BLE001  raised again below
            failure = error
        # Outside of the handler, or the log would have the error twice.
        self._end(operation, _as_told(operation, failure))
        self._current = None
        if failure is not None:
            raise failure
        return result

    def _work(self, operation: Operation) -> Any:
        self._journal.begin(operation)
        with operation.interruption.applied():
            result = operation.work()
        if operation.given_up is not None:
            raise operation.given_up
        return result

    def _end(self, operation: Operation, error: GuestAgentError | None) -> None:
        operation.end(error)
        try:
            self._journal.end(operation)
        except SystemFailure as problem:
            self._unwritten[operation.id] = operation
            LOG.error(
                "The journal does not know how '%s' (request %s) ended: %s",
                operation.name,
                operation.request_id,
                problem,
            )
        operation.ended(operation)

    def _as_it_is(self, details: OperationDetails) -> OperationDetails:
        """What the journal says of an operation, and what only memory knows."""
        if details.ended is None and (ended := self._unwritten.get(details.id)):
            details.state = ended.state.value
            details.error = str(ended.error) if ended.error else None
            details.ended = ended.ended_at
            details.cancellable = False
            return details
        operation, _ = self._accepted.get(details.id, (None, None))
        if operation is not None and details.ended is None:
            details.phase = operation.phase
            details.percent = operation.percent
            details.cancellable = operation.cancellable
        return details


def _as_told(operation: Operation, failure: BaseException | None) -> GuestAgentError | None:
    """A failure in words that may leave the guest."""
    if failure is None or isinstance(failure, GuestAgentError):
        return failure
    return InternalError(operation=operation.name, kind=type(failure).__name__, request_id=operation.request_id)
