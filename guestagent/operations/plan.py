"""Plans: a change written as the list of its named steps."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec


class Step(msgspec.Struct, frozen=True):
    """One step of a plan; doing it twice does no harm.

    :ivar name: what it does, in words that fit "… done"; no other step of its plan has it.
    :ivar do: does it, or finds that it is done.
    :ivar done: whether it is done, asked when an agent that died had begun it; none: nobody can tell, so it is done
        again.
    :ivar keep: what :attr:`undo` has to know, in types that JSON has. It is read before the step is done
        for the first time and never again, and kept sealed.
    :ivar undo: takes back what must not stay when the plan is not done to its end; gets what was kept.
        It may be asked twice, and also where the step did not get far.
    :ivar volatile: a crash or a reboot takes it back, as it does with a process or a mount: an agent that
        comes after one looks again.
    :ivar timeout: seconds after which whatever the step waits for is given up; none: it has its own.
    :ivar require: raises what stands against it, such as a thing of the name that it is to make. It is asked before the
        step is begun for the first time, and never again: what is there afterwards may be its own work.
    """

    name: str
    do: Callable[[], None]
    done: Callable[[], bool] | None = None
    keep: Callable[[], Any] | None = None
    undo: Callable[[Any], None] | None = None
    volatile: bool = False
    timeout: float | None = None
    require: Callable[[], None] | None = None


class Plan(msgspec.Struct, frozen=True):
    """The steps of a change, in their order.

    :ivar name: no other plan of the same call has it.
    :ivar cancellable: somebody may end it early, between two steps or while one waits.
    :ivar resumable: an agent that comes after a crash may go on with it; otherwise it takes back what it can.
    """

    name: str
    steps: Sequence[Step]
    cancellable: bool = False
    resumable: bool = True


class StepDone(msgspec.Struct, frozen=True):
    """A step has ended well; ``number`` counts from 1, ``seconds`` is what it took."""

    plan: str
    step: str
    number: int
    steps: int
    seconds: float


Watcher = Callable[[StepDone], None]
CarryOut = Callable[[Plan], None]
