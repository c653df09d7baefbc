"""Signals as something that the main thread waits for."""

import os
import signal


class Signals:
    """From now on the signals are heard by :meth:`wait`. To be made and asked in the main thread.

    Python runs a handler when the main thread gets to it. One that is about to sleep in a lock or a
    queue does not wake for that, and would hear of the signal with the next one only; a pipe that the
    interpreter itself writes to has no such gap.

    :param numbers: the signals.
    """

    def __init__(self, *numbers: signal.Signals) -> None:
        self._awaited = frozenset(numbers)
        self._heard, pipe = os.pipe()
        os.set_blocking(pipe, False)
        signal.set_wakeup_fd(pipe, warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, lambda number, frame: None)

    def wait(self) -> signal.Signals:
        """The next signal, in the order of their coming."""
        # The interpreter writes every signal that has a handler, a debugger's or a profiler's as well.
        while (number := os.read(self._heard, 1)[0]) not in self._awaited:
            pass
        return signal.Signals(number)
