"""One operation at a time, in the order in which they came."""

import dataclasses
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from oslo_log import log

from guestagent.contract.errors import Busy, Leaving

LOG = log.getLogger(__name__)


@dataclasses.dataclass
class Operation:
    """A change that was asked for.

    :ivar name: the call.
    :ivar request_id: the requester's id of it.
    :ivar work: does it.
    """

    name: str
    request_id: str
    work: Callable[[], Any]
    started: threading.Event = dataclasses.field(default_factory=threading.Event)
    started_at: float = 0.0

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self.started_at


class OperationQueue:
    """Changes run in one thread, first come, first served; reads never pass through here.

    :param busy_wait: gives the seconds that a caller waits for its turn.
    """

    def __init__(self, busy_wait: Callable[[], float]) -> None:
        self._busy_wait = busy_wait
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="operations")
        self._current: Operation | None = None

    @property
    def current(self) -> Operation | None:
        """The operation that is running."""
        return self._current

    def enqueue(self, operation: Operation) -> "Future[Any]":
        """Accept an operation that nobody waits for.

        :raises Leaving: the agent is going down.
        """
        try:
            return self._executor.submit(self._run, operation)
        except RuntimeError:
            raise Leaving(operation=operation.name) from None

    def run(self, operation: Operation) -> Any:
        """Do an operation that a caller waits for, and return what it returned.

        :raises Busy: its turn did not come in time; it was not and will not be started.
        :raises Leaving: the agent is going down.
        """
        future = self.enqueue(operation)
        if not operation.started.wait(self._busy_wait()) and future.cancel():
            running = self._current
            raise Busy(
                operation=operation.name,
                running=running.name if running else "an earlier operation",
                request_id=running.request_id if running else "-",
                seconds=running.seconds if running else 0,
            )
        return future.result()

    def drain(self) -> None:
        """Take nothing new, and return when everything that was accepted has been done."""
        self._executor.shutdown(wait=True)

    def _run(self, operation: Operation) -> Any:
        operation.started_at = time.monotonic()
        self._current = operation
        operation.started.set()
        try:
            return operation.work()
        finally:
            self._current = None
