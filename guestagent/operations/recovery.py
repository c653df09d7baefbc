"""What an agent does about those before it: their operations, and a record that was lost."""

import contextlib
from collections.abc import Callable
from typing import Any

from oslo_log import log

from guestagent.contract.errors import GuestAgentError, Interrupted, SystemFailure
from guestagent.contract.operations import CodePath
from guestagent.contract.states import Phase, Wanted
from guestagent.operations.instance import InstanceRecord
from guestagent.operations.journal import Journal, Unfinished
from guestagent.operations.operation import Operation
from guestagent.operations.queue import OperationQueue
from guestagent.operations.store import Store

LOG = log.getLogger(__name__)

BRINGS_UP = ("prepare", "rebuild")
"""The calls that an instance comes out of ready or failed."""


MOST_ATTEMPTS = 5
"""How many agents in a row may die of one operation before it is given up."""


class EndedEarlier(GuestAgentError):
    """An operation failed in the days of an earlier agent; the sentence is of that time."""

    id = "operation.ended-earlier"
    sentence = "{problem}"


class Recovery:
    """Takes up what earlier agents left; to be done once, before anything new is accepted.

    :param revive: makes an operation of this agent of one that was left.
    :param tell: lets the conductor know how one ended; none: well.
    """

    def __init__(
        self,
        record: InstanceRecord,
        journal: Journal,
        operations: OperationQueue,
        revive: Callable[[Unfinished], Operation],
        tell: Callable[[Unfinished, GuestAgentError | None], None],
    ) -> None:
        self._record = record
        self._journal = journal
        self._operations = operations
        self._revive = revive
        self._tell = tell

    def take_up(self) -> None:
        """Queue what is to be continued or undone, and end the rest."""
        left = list(self._journal.unfinished())
        operations = {one.id: self._operation(one) for one in left if one.ended is None}
        bringing_up = [one for one in operations.values() if one.name in BRINGS_UP]
        is_brought_up = any(one.given_up is None for one in bringing_up)
        phase = self._record.current.phase
        # One that was accepted and no more has left no trace in the record.
        if (phase is Phase.PREPARING or (phase is Phase.NEW and bringing_up)) and not is_brought_up:
            LOG.error("The agent ended while it was preparing the instance; the instance has failed")
            self._record.change(phase=Phase.FAILED, wanted=Wanted.STOPPED)
        for one in left:
            if one.ended is not None:
                self._say(one, EndedEarlier(problem=one.ended) if one.ended else None)
            else:
                self._take_up(one, operations[one.id])

    def _operation(self, one: Unfinished) -> Operation:
        try:
            return self._revived(one)
        except GuestAgentError as problem:
            return self._hollow(one, problem)

    def _take_up(self, one: Unfinished, operation: Operation) -> None:
        if operation.given_up is None:
            LOG.warning("Going on with '%s' (request %s), which an earlier agent began", one.name, one.request_id)
        else:
            LOG.error("Giving up '%s' (request %s): %s", one.name, one.request_id, operation.given_up)
        with contextlib.suppress(SystemFailure):
            self._journal.count_attempt(one.id)
        self._operations.resume(operation)

    def _revived(self, one: Unfinished) -> Operation:
        """The operation, to be continued or to be undone.

        :raises GuestAgentError: there is nothing to be done about it.
        """
        if one.request.arguments is None:
            problem = "the journal's key is another one"
            raise SystemFailure(subject=f"Reading the arguments of '{one.name}'", problem=problem)
        interrupted = Interrupted(operation=one.name)
        if not (_is_continued(one) or one.has_steps):
            raise interrupted
        operation = self._revive(one)
        operation.id = one.id
        operation.path = one.path
        operation.resumed = _is_continued(one)
        operation.given_up = None if operation.resumed else interrupted
        return operation

    def _hollow(self, one: Unfinished, problem: GuestAgentError) -> Operation:
        """An operation that does nothing but fail."""

        def fail() -> None:
            raise problem

        def tell(operation: Operation) -> None:
            self._say(one, problem)

        return Operation(one.name, one.request_id, fail, one.request, tell, one.id, one.path, given_up=problem)

    def _say(self, one: Unfinished, error: GuestAgentError | None) -> None:
        try:
            self._tell(one, error)
        except GuestAgentError as problem:
            LOG.error("Nobody hears how '%s' (request %s) ended: %s", one.name, one.request_id, problem)


def adopt(store: Store, record: InstanceRecord, recognise: Callable[[], dict[str, Any] | None]) -> None:
    """Rebuild the record from what the machine shows, where the agent has lost it.

    Nothing shows whether somebody had stopped the server, so it is taken for one that should run.

    :param recognise: asks the plugin; see :meth:`guestagent.manager.BaseDatastoreManager.recognise`.
    """
    if record.current.phase is not Phase.NEW:
        return
    try:
        found = recognise()
    except (GuestAgentError, OSError) as problem:
        LOG.error("Whether this machine holds an instance cannot be seen: %s", problem)
        found = None
    if found is not None:
        LOG.critical("This machine holds an instance that the agent has no record of; it is taken for a prepared one")
        record.change(phase=Phase.READY, wanted=Wanted.RUNNING, code_path=CodePath.LEGACY, **found)
    elif store.set_aside is not None:
        LOG.critical("Nothing on this machine shows a prepared instance; the agent waits for prepare or rebuild")


def _is_continued(one: Unfinished) -> bool:
    return one.path is CodePath.CONVERGENCE and one.request.arguments is not None and one.attempts < MOST_ATTEMPTS
