"""What is known of one operation."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from guestagent.conformance.guest import Guest

Arguments = Mapping[str, Any]

FIRST, SECOND = "crashed1", "crashed2"
"""Databases and users, which no other test has."""


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One operation.

    :ivar call: the contract's.
    :ivar arguments: of the call, when the guest is arranged.
    :ivar arrange: makes the state from which it starts out of whatever an earlier run of it has left; the agent runs.
    :ivar also: other calls that arranging and looking need.
    :ivar given: parts of the author's description that it needs.
    :ivar fails: it is refused in its middle.
    :ivar resumable: the code path ``convergence`` goes on with it; otherwise it is given up there too.
    :ivar leave: makes the guest what other scenarios begin with, where this one may leave something else.
    :ivar holds: writes wait meanwhile.
    :ivar once: a machine takes it once, so that each time is on another one.
    :ivar comes_up: it makes an instance of a machine, and so is ``once``.
    :ivar look: tells what belongs to the state beside what every guest has.
    :ivar given_up: what the state has by these names when it was given up; anything else is as it was before, or would
        be after it.
    """

    name: str
    call: str
    arguments: Callable[[Guest], Arguments] = lambda guest: {}
    arrange: Callable[[Guest], object] = lambda guest: None
    also: Sequence[str] = ()
    given: Sequence[str] = ()
    fails: bool = False
    resumable: bool = True
    leave: Callable[[Guest], object] = lambda guest: None
    holds: bool = False
    once: bool = False
    comes_up: bool = False
    look: Callable[[Guest], Arguments] = lambda guest: {}
    given_up: Arguments = dataclasses.field(default_factory=dict)

    @property
    def claims(self) -> Sequence[str]:
        """The calls that a plugin must claim for it."""
        return (self.call, *self.also)


def in_order(*parts: Callable[[Guest], object]) -> Callable[[Guest], None]:
    """Arranges one thing after another."""

    def arrange(guest: Guest) -> None:
        for part in parts:
            part(guest)

    return arrange


def does(method: str, **arguments: Any) -> Callable[[Guest], object]:
    """Arranges by a call, with the same arguments for every guest."""
    return lambda guest: guest.do(method, arguments)
