"""Waits of an operation, which end early when the operation is cancelled or the time of its step is over.

Whoever runs an operation makes an :class:`Interruption` and applies it around the work. Whatever waits in it
does so through the functions of this module, or asks them how long it may wait; where no interruption is
applied they are plain waits.
"""

import contextlib
import contextvars
import math
import os
import select
import threading
import time
from collections.abc import Iterator

import msgspec

from guestagent.contract.errors import GuestAgentError, TimedOut


class _Limit(msgspec.Struct, frozen=True):
    """The end of a step's time, by the monotonic clock; ``seconds`` is what it was given."""

    step: str
    seconds: float
    deadline: float


class _Scope(msgspec.Struct, frozen=True):
    """What counts in a block: its nearest limit, and whether it hears of a cancel."""

    limit: _Limit | None = None
    shielded: bool = False


class Interruption:
    """What can end the waits of one operation.

    Any thread may cancel it. It is applied, limited and shielded in the one that runs the operation.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._error: GuestAgentError | None = None
        self._wakeups: set[int] = set()
        self._scope = _Scope()

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled; a shield does not hide that."""
        return self._error is not None

    def cancel(self, error: GuestAgentError) -> None:
        """End the waits that are running, and every later one, with this error; the first error stays."""
        with self._lock:
            if self._error is None:
                self._error = error
                for wakeup in self._wakeups:
                    os.eventfd_write(wakeup, 1)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Make it the interruption of what this thread does in the block."""
        token = _CURRENT.set(self)
        try:
            yield
        finally:
            _CURRENT.reset(token)

    @contextlib.contextmanager
    def limited(self, step: str, seconds: float | None) -> Iterator[None]:
        """Give the waits in the block so much time together; of limits in each other the nearest counts.

        :param step: is named by the :class:`TimedOut` that they raise then.
        :param seconds: none: no limit.
        """
        before = self._scope
        if seconds is not None:
            limit = _Limit(step, seconds, time.monotonic() + seconds)
            if before.limit is None or limit.deadline < before.limit.deadline:
                self._scope = msgspec.structs.replace(before, limit=limit)
        try:
            yield
        finally:
            self._scope = before

    @contextlib.contextmanager
    def shielded(self) -> Iterator[None]:
        """Let the block wait to its end, as undoing must: no cancel reaches it, and no limit but those set in it."""
        before = self._scope
        self._scope = _Scope(shielded=True)
        try:
            yield
        finally:
            self._scope = before

    def _left(self) -> float:
        """The seconds that a wait may last at most, more than none; infinite: as long as it likes.

        :raises GuestAgentError: what it was cancelled with.
        :raises TimedOut: the time of the step is over.
        """
        scope, error = self._scope, self._error
        if error is not None and not scope.shielded:
            # It is raised by every wait, and would collect the frames of them all.
            raise error.with_traceback(None)
        if scope.limit is None:
            return math.inf
        left = scope.limit.deadline - time.monotonic()
        if left <= 0:
            raise TimedOut(step=scope.limit.step, seconds=scope.limit.seconds)
        return left

    @contextlib.contextmanager
    def _waking(self, poller: "select.poll") -> Iterator[None]:
        """Have a cancel during the block end the poll; who asks for what is left in the block misses none."""
        if self._scope.shielded:
            yield
            return
        wakeup = os.eventfd(0)
        try:
            with self._lock:
                self._wakeups.add(wakeup)
            poller.register(wakeup, select.POLLIN)
            try:
                yield
            finally:
                poller.unregister(wakeup)
        finally:
            with self._lock:
                # After this nobody writes to it, so that its number may be another file's.
                self._wakeups.discard(wakeup)
            os.close(wakeup)


# State of a module, which we have nowhere else: an interruption reaches every wait below an operation, and
# handing it through all signatures, those of plugins too, would make each of them a place to forget it.
_CURRENT: contextvars.ContextVar[Interruption | None] = contextvars.ContextVar("interruption", default=None)


def check() -> None:
    """Go on, or not: for work that takes long without waiting.

    :raises GuestAgentError: the operation was cancelled.
    :raises TimedOut: the time of its step is over.
    """
    until(None)


def until(seconds: float | None) -> float | None:
    """How long a wait with a time-out of its own may last, for what blocks elsewhere; :func:`check` afterwards.

    :param seconds: its own time-out; none: it has none.
    :returns: the shorter one of that and of what is left to the step; none: neither ends.
    :raises GuestAgentError: as :func:`check`.
    """
    left = _left()
    if seconds is None:
        return None if left == math.inf else left
    return min(seconds, left)


def pause(seconds: float) -> None:
    """Sleep.

    :raises GuestAgentError: as :func:`check`; a cancel ends the sleep at once.
    """
    poll(select.poll(), time.monotonic() + seconds)


def poll(poller: "select.poll", deadline: float) -> list[int]:
    """Wait until one of the poller's descriptors is ready.

    :param deadline: by the monotonic clock.
    :returns: those that are ready; none: the deadline has passed.
    :raises GuestAgentError: as :func:`check`; a cancel ends the wait at once.
    """
    current = _CURRENT.get()
    with contextlib.nullcontext() if current is None else current._waking(poller):
        while True:
            seconds = min(_left(), deadline - time.monotonic())
            found = poller.poll(max(0, math.ceil(seconds * 1000)))
            # The wake-up is no find; neither is the end of the step, which the next round raises.
            check()
            if found or time.monotonic() >= deadline:
                return [descriptor for descriptor, _ in found]


@contextlib.contextmanager
def shielded() -> Iterator[None]:
    """As :meth:`Interruption.shielded`, for what must be put back before an error goes on."""
    current = _CURRENT.get()
    with contextlib.nullcontext() if current is None else current.shielded():
        yield


def _left() -> float:
    current = _CURRENT.get()
    return math.inf if current is None else current._left()
