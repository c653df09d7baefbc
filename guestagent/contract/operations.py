"""What the agent is doing and has done, and the two ways in which an instance's operations are carried out."""

import enum

import msgspec

from guestagent.contract.call import OWN, Capability, call
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import Cancelled, GuestAgentError


class CodePath(enum.Enum):
    """How the operations of an instance are carried out, recorded on the instance when it is prepared."""

    LEGACY = "legacy"
    """In memory. An operation that the agent does not live to the end of has failed."""
    CONVERGENCE = "convergence"
    """Written down ahead, step by step. The next agent takes up what the last one left."""


class OperationState(enum.Enum):
    """How far an operation is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @classmethod
    def after(cls, error: GuestAgentError | None) -> "OperationState":
        """The state of an operation that has ended with an error, or well."""
        if error is None:
            return cls.DONE
        return cls.CANCELLED if isinstance(error, Cancelled) else cls.FAILED

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self not in (OperationState.QUEUED, OperationState.RUNNING)


class StepDetails(msgspec.Struct):
    """One step of an operation's plans; times in seconds since the epoch.

    ``state`` is ``running``, ``done``, ``failed`` or ``undone``; ``error`` is the sentence of what went wrong in it.
    """

    plan: str
    name: str
    state: str
    started: float
    ended: float | None = None
    error: str | None = None


class OperationDetails(msgspec.Struct):
    """One operation; times in seconds since the epoch. No value of an argument is ever told.

    ``state`` is one of :class:`OperationState`; ``engine`` is one of :class:`CodePath`; ``phase`` is the step that is
    being done; ``percent`` is none where it cannot be known; ``error`` is the sentence of what went wrong.
    """

    id: str
    call: str
    request_id: str
    engine: str
    state: str
    phase: str | None
    percent: float | None
    cancellable: bool
    accepted: float
    started: float | None
    updated: float
    ended: float | None
    error: str | None
    steps: list[StepDetails] = []


class EngineDetails(msgspec.Struct):
    """The code path of the instance, before and after the call."""

    before: str
    after: str


class Operations(Capability):
    """Look at operations, cancel one, and change the instance's code path."""

    @call(reads=True, required=True, needs_instance=False, prompt=True, namespaces=(OWN,))
    def operation_list(self, context: RequestContext, limit: int = 20) -> list[OperationDetails]:
        """The operations, newest first and without their steps; those that have ended are kept for a while."""

    @call(reads=True, required=True, needs_instance=False, prompt=True, namespaces=(OWN,))
    def operation_show(self, context: RequestContext, operation_id: str) -> OperationDetails:
        """One operation with its steps.

        :raises NotFound: there is none of that id, or it is no longer kept.
        """

    @call(reads=True, required=True, needs_instance=False, prompt=True, namespaces=(OWN,))
    def operation_cancel(self, context: RequestContext, operation_id: str) -> OperationDetails:
        """End an operation early: at once where it waits, otherwise before its next step; repeating it is safe.

        What its plan can take back is taken back. The answer does not wait for that.

        :raises NotFound: there is none of that id.
        :raises NotCancellable: it has ended, or its plan must not be left in the middle.
        """

    @call(repeatable=True, namespaces=(OWN,))
    def convert_engine(self, context: RequestContext) -> EngineDetails:
        """Move the instance from ``legacy`` to ``convergence``, for good.

        :raises Busy: another operation has the guest.
        """
