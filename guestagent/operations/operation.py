"""An operation: one change that was asked for, from its acceptance to its end."""

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from guestagent.contract.errors import Cancelled, GuestAgentError, NotCancellable
from guestagent.contract.operations import CodePath, OperationState
from guestagent.operations.plan import Plan, Step
from guestagent.system.waiting import Interruption


class Request(msgspec.Struct, frozen=True):
    """What an operation was asked for, as it is needed to do it once more.

    :ivar namespace: of the call.
    :ivar arguments: as they arrived, in clear; none: they cannot be read any more.
    :ivar context: the request's, as it arrived.
    :ivar message_id: names the message that brought it, also when the broker delivers it again; none: unknown.
    :ivar subject: names what the operation is about where that must not be done twice, as a backup's id.
    :ivar awaited: a caller waits for the answer; otherwise the conductor is told of the end.
    """

    namespace: str
    arguments: Mapping[str, Any] | None
    context: Mapping[str, Any]
    message_id: str | None = None
    subject: str | None = None
    awaited: bool = False

    def __repr__(self) -> str:
        """Without the arguments and the context, which may hold secrets."""
        return f"Request({self.namespace!r}, {self.message_id!r}, {self.subject!r})"


class Operation(msgspec.Struct, eq=False):
    """A change that was asked for.

    :ivar name: the call.
    :ivar request_id: the requester's id of it.
    :ivar work: does it.
    :ivar request: what it takes to do it once more; none: it is not worth a line in the journal.
    :ivar ended: is told when the end is on disk.
    :ivar path: how it is carried out; decided when its turn comes.
    :ivar resumed: an earlier agent began it.
    :ivar given_up: an earlier agent began it, and this is the error that it ends with.
    :ivar scope: how the names of plans begin that are carried out inside the step that is being done.
    """

    name: str
    request_id: str
    work: Callable[[], Any]
    request: Request | None = None
    ended: Callable[["Operation"], None] = lambda operation: None
    id: str = msgspec.field(default_factory=lambda: uuid.uuid4().hex)
    path: CodePath = CodePath.LEGACY
    resumed: bool = False
    given_up: GuestAgentError | None = None
    state: OperationState = OperationState.QUEUED
    error: GuestAgentError | None = None
    phase: str | None = None
    scope: str = ""
    percent: float | None = None
    cancellable: bool = True
    accepted_at: float = msgspec.field(default_factory=time.time)
    ended_at: float | None = None
    started: threading.Event = msgspec.field(default_factory=threading.Event)
    interruption: Interruption = msgspec.field(default_factory=Interruption)
    _clock: float = 0.0
    _whole: tuple[int, int] = (0, 1)

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self._clock

    def begin(self) -> None:
        """Its turn has come."""
        self.state = OperationState.RUNNING
        self.cancellable = False
        self._clock = time.monotonic()

    def end(self, error: GuestAgentError | None) -> None:
        """It has ended.

        :param error: with what; none: it is done.
        """
        self.cancellable = False
        self.error = error
        self.state = OperationState.after(error)
        self.ended_at = time.time()

    def cancel(self) -> None:
        """End it before its next step, or out of what it waits for.

        :raises NotCancellable: its plan must not be left in the middle, or it has none.
        """
        if not self.cancellable:
            problem = "it has ended" if self.state.ended else "it must not be left in the middle"
            raise NotCancellable(operation_id=self.id, operation=self.name, problem=problem)
        phase = f" in step '{self.phase}'" if self.phase else ""
        self.interruption.cancel(Cancelled(operation=self.name, phase=phase))

    @contextlib.contextmanager
    def doing(self, plan: Plan) -> Iterator[None]:
        """A plan of it is carried out in the block; one inside another decides for itself and no longer."""
        before = self.phase, self.scope, self.percent, self.cancellable
        self.cancellable = plan.cancellable
        try:
            yield
        finally:
            self.phase, self.scope, self.percent, self.cancellable = before

    def reach(self, plan: Plan, number: int, step: Step) -> None:
        """A step begins; the first has the number 0."""
        self.phase = step.name
        self.scope = inside(plan, step)
        self._whole = (number, len(plan.steps))
        self.percent = 100 * number / len(plan.steps) if len(plan.steps) > 1 else None

    def progress(self, done: int, total: int | None) -> None:
        """So much of the step that is being done is; an unknown whole says nothing."""
        number, steps = self._whole
        if total:
            self.percent = 100 * (number + min(done / total, 1)) / steps


def inside(plan: Plan, step: Step) -> str:
    """How the names of plans begin that are carried out inside a step of a plan."""
    return f"{plan.name} / {step.name} / "
