"""Threads that work for one other thread, which can be woken while it waits for them."""

import concurrent.futures
import contextlib
import os
import select
import threading
import time
import types
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Final, Self, TypeVar

from guestagent.contract.errors import Cancelled
from guestagent.system import waiting

LONG_WAIT: Final = 24 * 3600.0
"""Seconds of one wait; what waits has no end of its own, and then waits on."""

Item = TypeVar("Item")
Done = TypeVar("Done")


class Lanes:
    """A few threads. Leaving their block ends the waits of what they do, and waits until they have ended.

    An operation's interruption reaches the thread that waits for them; they have one of their own, so that what it
    shields for itself is not what they are shielded from.

    :param threads: how many.
    :param name: of the threads.
    :param nice: so much nicer to all others than the one thread they are: what they do can wait.
    """

    def __init__(self, threads: int, name: str, nice: int = 0) -> None:
        self._pool = concurrent.futures.ThreadPoolExecutor(threads, name, _be_nicer, (nice,))
        self._interruption = waiting.Interruption()
        self._name = name
        self._bell = os.eventfd(0, os.EFD_NONBLOCK)

    def submit(self, work: Callable[[Item], Done], item: Item) -> "concurrent.futures.Future[Done]":
        """Have work done, when a thread is free."""
        future = self._pool.submit(self._run, work, item)
        future.add_done_callback(self._ring)
        return future

    def wait(self, futures: "Collection[concurrent.futures.Future[Any]]") -> None:
        """Wait until one of them is done, however it ended.

        :raises GuestAgentError: as :func:`waiting.check`.
        """
        while not any(future.done() for future in futures):
            poller = select.poll()
            poller.register(self._bell, select.POLLIN)
            waiting.poll(poller, time.monotonic() + LONG_WAIT)
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._bell)

    def ordered(self, work: Callable[[Item], Done], items: Iterable[Item], ahead: int) -> Iterator[Done]:
        """What the work makes of each item, in their order; at most ``ahead`` are made that nobody has taken yet."""
        pending: deque[concurrent.futures.Future[Done]] = deque()
        for item in items:
            pending.append(self.submit(work, item))
            del item
            if len(pending) >= ahead:
                yield self._take(pending)
        while pending:
            yield self._take(pending)

    def _take(self, pending: "deque[concurrent.futures.Future[Done]]") -> Done:
        self.wait([pending[0]])
        return pending.popleft().result()

    def _run(self, work: Callable[[Item], Done], item: Item) -> Done:
        with self._interruption.applied():
            return work(item)

    def _ring(self, future: "concurrent.futures.Future[Any]") -> None:
        os.eventfd_write(self._bell, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self._interruption.cancel(Cancelled(operation=self._name, phase=""))
        self._pool.shutdown(cancel_futures=True)
        os.close(self._bell)


def _be_nicer(nice: int) -> None:
    """Lower the priority of the calling thread, of it alone, as Linux has it."""
    thread = threading.get_native_id()
    os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + nice)
