"""A journal that knows how long it was at work."""

import functools
import time
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from guestagent.operations.journal import Journal

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Method = Callable[Concatenate[Any, Arguments], Result]


def _timed(method: Method[Arguments, Result]) -> Method[Arguments, Result]:
    @functools.wraps(method)
    def timed(self: Any, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        if self._working:
            # One of its methods uses another.
            return method(self, *args, **kwargs)
        self._working = True
        begun = time.perf_counter()
        try:
            return method(self, *args, **kwargs)
        finally:
            self.seconds += time.perf_counter() - begun
            self._working = False

    return timed


class TimedJournal(Journal):
    """The journal itself, for one operation at a time.

    :ivar seconds: that whoever called it has waited for it so far.
    """

    seconds = 0.0
    _working = False

    accept = _timed(Journal.accept)
    begin = _timed(Journal.begin)
    end = _timed(Journal.end)
    tell = _timed(Journal.tell)
    plan = _timed(Journal.plan)
    begin_step = _timed(Journal.begin_step)
    end_step = _timed(Journal.end_step)
    fail_plan = _timed(Journal.fail_plan)
