"""One death of an agent in one operation, and what must have become of both; the same for whatever is killed how."""

import dataclasses
import difflib
import pprint
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from guestagent.conformance.killed_agent import ACCEPTING, ENDED, Moment
from guestagent.contract.call import Call
from guestagent.contract.operations import CodePath

State = Mapping[str, Any]
"""What a guest at rest is like, as values that can be compared, by names with dots."""


@dataclasses.dataclass(frozen=True)
class Undisturbed:
    """How an operation goes when nobody dies.

    :ivar before: the guest's state at the start, and ``after`` at the end.
    :ivar passed: the moments of it.
    :ivar end: ``done`` or ``failed``.
    """

    before: State
    after: State
    passed: Sequence[Moment]
    end: str

    def seen(self, view: Callable[[State], State]) -> Self:
        """The same with states of which only a part is looked at."""
        return dataclasses.replace(self, before=view(self.before), after=view(self.after))


def expected_end(path: CodePath, declared: Call, moment: Moment, end: str, *, resumable: bool = True) -> str | None:
    """What an operation ends as whose agent has died; none: it never was.

    :param end: what it ends as when nobody dies.
    :param resumable: the code path ``convergence`` goes on with it; otherwise it is given up there too.
    """
    if moment.kind == ACCEPTING:
        # The broker delivers a cast again. Who calls has no answer, and knows that.
        return end if declared.cast else None
    if (path is CodePath.CONVERGENCE and resumable) or moment.kind == ENDED:
        return end
    return "failed"


def choose(passed: Sequence[Moment], name: str) -> list[Moment]:
    """One of the moments, if there are any: another one for another name.

    It is the same one although others are not passed every time, as where a step waits for something.
    """
    return sorted(passed, key=lambda moment: zlib.crc32(f"{name} {moment}".encode()))[:1]


def differences(wanted: State, found: State) -> dict[str, tuple[Any, Any]]:
    """What is not as it should be, by name: what it should be, and what it is."""
    names = sorted({*wanted, *found})
    return {name: (wanted.get(name), found.get(name)) for name in names if wanted.get(name) != found.get(name)}


def told(wrong: Mapping[str, tuple[Any, Any]]) -> list[str]:
    """Differences in words."""
    return [f"{name} is not as it should be:\n{_comparison(*both)}" for name, both in wrong.items()]


def _comparison(wanted: object, found: object) -> str:
    """The lines in which two values differ."""
    before, after = (pprint.pformat(value, width=120).replace("\\n", "\n").splitlines() for value in (wanted, found))
    return "\n".join(f"  {line}" for line in difflib.ndiff(before, after) if line[0] in "-+")
