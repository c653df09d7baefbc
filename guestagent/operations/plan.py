"""Plans: a change written as the list of its named steps."""

import dataclasses
import time
from collections.abc import Callable, Sequence

from oslo_log import log

LOG = log.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Step:
    """One step of a plan; doing it twice does no harm.

    :ivar name: what it does, in words that fit "… done".
    :ivar do: does it, or finds that it is done.
    """

    name: str
    do: Callable[[], None]


@dataclasses.dataclass(frozen=True)
class StepDone:
    """A step has ended well; ``number`` counts from 1, ``seconds`` is what it took."""

    plan: str
    step: str
    number: int
    steps: int
    seconds: float


Watcher = Callable[[StepDone], None]


def carry_out(plan: str, steps: Sequence[Step], watch: Watcher | None = None) -> None:
    """Do the steps in order, in memory; the first that raises ends the plan with its error.

    :param watch: is told of every step that is done.
    """
    for number, step in enumerate(steps, 1):
        started = time.monotonic()
        LOG.debug("%s: %s", plan, step.name)
        step.do()
        done = StepDone(plan, step.name, number, len(steps), time.monotonic() - started)
        LOG.info("%s: %s done in %.1f s (%d of %d)", plan, step.name, done.seconds, number, len(steps))
        if watch is not None:
            watch(done)
