"""Deaths of agents and servers in an operation, and what must have become of it and of the guest."""

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import pytest

from guestagent.conformance import killed_agent
from guestagent.conformance.code_path import PATH
from guestagent.conformance.disk import DISK_MIB, MakeDisk
from guestagent.conformance.dying import State, Undisturbed, choose, differences, expected_end, told
from guestagent.conformance.guest import PATIENCE, Guest, MakeGuest, declared_as
from guestagent.conformance.killed_agent import KINDS, Moment
from guestagent.conformance.mortal import MortalGuest
from guestagent.conformance.poll import eventually
from guestagent.conformance.suite.rebuild import lose_root_disk
from guestagent.conformance.suite.scenarios import ON_A_PREPARED_GUEST
from guestagent.conformance.suite.scenarios.scenario import Scenario
from guestagent.conformance.suite.state import SEEN, keep_something, lasting, litter, state_of

EXTENT = os.environ.get("TEST_CRASH", "sample")
WIDE = EXTENT in ("wide", "whole")
"""Whether everything is tried on every operation, and not on a few."""
WHOLE = EXTENT == "whole"
"""Whether there is a death at every moment of an operation, and not at one."""
SETTLED_SECONDS = 60.0
"""Until everybody has heard of everything."""
HALVES = ("users.", "enters.")
"""What nobody takes back when the server is down at that moment."""
CONTENTS = frozenset({"databases", "users", "root", "modules"})
"""What prepare puts into an instance that is up."""

Die = Callable[[MortalGuest, Scenario, Undisturbed, Moment], list[str]]
"""Has somebody die at a moment of an operation; what is not as it must be then, in words."""


ON_SOME = [one for one in ON_A_PREPARED_GUEST if WIDE or one.name in ("create users", "change the certificate")]
"""Operations in which not only agents die."""


class WithMortalGuest:
    """Tests of one guest."""

    @pytest.fixture(scope="class")
    @classmethod
    def mortal(cls, make_guest: MakeGuest) -> Iterator[MortalGuest]:
        """A prepared guest whose agent can be killed at a moment, with something in it that must be kept."""
        guest = mortal_guest(make_guest)
        guest.prepare()
        keep_something(guest)
        guest.wait_for_rest()
        yield guest
        guest.close()

    @pytest.fixture
    @classmethod
    def another_disk(cls, mortal: MortalGuest, make_disk: MakeDisk) -> Iterator[None]:
        """The machine has a disk that holds nothing of the datastore's."""
        mortal.disk = make_disk(DISK_MIB)
        yield
        mortal.disk.unmount()


def mortal_guest(make_guest: MakeGuest) -> MortalGuest:
    """A machine on which nothing has happened, with an agent that dies where it is told to."""
    guest = make_guest(MortalGuest)
    assert isinstance(guest, MortalGuest)
    return guest


def machine_for(make_guest: MakeGuest, scenario: Scenario) -> MortalGuest:
    """A machine for an operation that each takes once, its agent running."""
    guest = mortal_guest(make_guest)
    if scenario.call == "prepare":
        guest.agent.boot(guest.wire)
        return guest
    guest.prepare()
    keep_something(guest)
    if scenario.call == "rebuild":
        lose_root_disk(guest)
    return guest


def go_undisturbed(guest: MortalGuest, scenario: Scenario) -> Undisturbed:
    """Do the operation once, and see that it ends as it should and leaves nothing."""
    scenario.arrange(guest)
    guest.wait_for_rest()
    before = state_of(guest, scenario)
    guest.script.record()
    refused = guest.attempt(scenario.call, scenario.arguments(guest))
    guest.wait_for_rest()
    passed = [moment for moment in guest.script.recorded() if moment.call == scenario.call]
    assert bool(refused) == scenario.fails, refused
    eventually(lambda: not litter(guest), timeout=SETTLED_SECONDS, message=lambda: str(litter(guest)))
    return Undisturbed(before, state_of(guest, scenario), passed, "failed" if refused else "done")


def die_in(
    guest: MortalGuest,
    scenario: Scenario,
    undisturbed: Undisturbed,
    moment: Moment,
    *,
    with_it: Callable[[MortalGuest, Moment], None] | None = None,
) -> list[str]:
    """Have the agent die at a moment of the operation and start another one.

    :param with_it: has the server die with it, and perhaps more.
    :returns: what is not as it must be, in words.
    """
    if spoiled := begin(guest, scenario, undisturbed):
        return spoiled
    arguments = scenario.arguments(guest)
    guest.script.kill_at(moment)
    request_id, _ = guest.send(scenario.call, arguments)
    if moment.kind == killed_agent.INSIDE and not guest.agent.dies(request_id):
        # A step does not wait every time where it has waited once.
        guest.script.clear()
        return []
    guest.agent.wait_for_death()
    if with_it is not None:
        with_it(guest, moment)
    guest.agent.boot(guest.wire)
    declared = declared_as(scenario.call)
    wanted = expected_end(PATH, declared, moment, undisturbed.end, resumable=scenario.resumable)
    if wanted is not None:
        eventually(lambda: guest.operation(request_id, ended=True), timeout=PATIENCE, message=guest.agent.tail)
    guest.wait_for_rest()
    ended = guest.operation(request_id)
    if (state := ended.get("state")) != wanted:
        return [f"it is {state} and not {wanted}: {ended.get('error')}"]
    if wrong := unsettled(guest, scenario, undisturbed, wanted, renewed=with_it is not None):
        return wrong
    if wanted == "done" or scenario.fails or (scenario.comes_up and guest.status() == "healthy"):
        return []
    return again(guest, scenario, undisturbed, renewed=with_it is not None)


def begin(guest: Guest, scenario: Scenario, undisturbed: Undisturbed) -> list[str]:
    """Make the state from which the operation starts.

    :returns: what is not as it was when nobody died, in words.
    """
    scenario.arrange(guest)
    guest.wait_for_rest()
    spoiled = differences(undisturbed.before, state_of(guest, scenario))
    return ["the beginning is not what it was", *told(spoiled)] if spoiled else []


def unsettled(
    guest: Guest,
    scenario: Scenario,
    undisturbed: Undisturbed,
    wanted: str | None,
    *,
    renewed: bool = False,
) -> list[str]:
    """What is not as it must be, when everybody has had the time to hear of everything.

    :param wanted: what the operation has ended as; none: it never was.
    :param renewed: the server has started anew meanwhile.
    """
    if renewed:
        undisturbed = undisturbed.seen(lasting)

    def look() -> list[str]:
        state = state_of(guest, scenario)
        found = lasting(state) if renewed else state
        if wanted == undisturbed.end and not scenario.fails:
            wrong = differences(undisturbed.after, found)
        elif wanted is None:
            wrong = differences(undisturbed.before, found)
        elif scenario.comes_up:
            wrong = _neither_up_nor_down(undisturbed, found)
        else:
            wrong = neither(scenario, undisturbed, found)
            wrong = {name: both for name, both in wrong.items() if not (renewed and name.startswith(HALVES))}
        return [*told(wrong), *litter(guest)]

    wrong: list[str] = []

    def is_settled() -> bool:
        try:
            wrong[:] = look()
        except Exception as error:  # noqa: BLE001  whatever the database's driver raises; it is told if it stays
            wrong[:] = [f"nobody can look at it: {error!r}"]
        return not wrong

    with contextlib.suppress(AssertionError):
        eventually(is_settled, timeout=SETTLED_SECONDS, every=0.2)
    return wrong


def neither(scenario: Scenario, undisturbed: Undisturbed, found: State) -> dict[str, tuple[Any, Any]]:
    """What is neither as it was nor as it would be, nor as it is when such an operation was given up."""
    before = {**undisturbed.before, **scenario.given_up}
    return {
        name: (wanted, is_now)
        for name, (wanted, is_now) in differences(before, found).items()
        if name in scenario.given_up or is_now != undisturbed.after.get(name)
    }


def _neither_up_nor_down(undisturbed: Undisturbed, found: State) -> dict[str, tuple[Any, Any]]:
    """What is not as it must be of an instance that has failed: it is down, or up and something in it is missing."""
    if found["phase"] == "ready":
        wrong = differences(undisturbed.after, found)
        unseen = SEEN.keys() - found.keys()
        return {
            name: both for name, both in wrong.items() if name.partition(".")[0] not in CONTENTS and name not in unseen
        }
    down = {"phase": "failed", "wanted": "stopped", "service_status": "failed to spawn"}
    return differences(down, {name: found[name] for name in down})


def again(guest: Guest, scenario: Scenario, undisturbed: Undisturbed, *, renewed: bool = False) -> list[str]:
    """What is wrong when somebody who has read that it failed asks once more.

    :param renewed: the server has started anew meanwhile.
    """
    scenario.arrange(guest)
    refused = guest.attempt(scenario.call, scenario.arguments(guest))
    if bool(refused) != scenario.fails:
        return [f"asked again, it is refused: {refused}" if refused else "asked again, it is done"]
    guest.wait_for_rest()
    seen = lasting if renewed else dict
    wrong = differences(seen(undisturbed.after), seen(state_of(guest, scenario)))
    return [f"asked again: {text}" for text in told(wrong)]


def see(guest: MortalGuest, scenario: Scenario, die: Die = die_in, kinds: Collection[str] = KINDS) -> None:
    """Have agents or servers of a machine die in an operation.

    :param die: how.
    :param kinds: of moments at which that is tried.
    :raises AssertionError: something is not as it must be.
    """
    undisturbed = go_undisturbed(guest, scenario)
    passed = [moment for moment in undisturbed.passed if moment.kind in kinds]
    wrong = {
        str(moment): found
        for moment in chosen(guest, scenario, passed)
        if (found := die(guest, scenario, undisturbed, moment))
    }
    scenario.leave(guest)
    assert not wrong, in_words(wrong)


def see_each_once(make_guest: MakeGuest, scenario: Scenario, die: Die = die_in) -> None:
    """Have agents, or more, die in an operation that a machine takes once.

    :param die: how.
    :raises AssertionError: something is not as it must be.
    """
    first = machine_for(make_guest, scenario)
    undisturbed = go_undisturbed(first, scenario)
    first.close()
    wrong: dict[str, list[str]] = {}
    for moment in chosen(first, scenario, undisturbed.passed):
        guest = machine_for(make_guest, scenario)
        if found := die(guest, scenario, undisturbed, moment):
            wrong[str(moment)] = found
        guest.close()
    assert not wrong, in_words(wrong)


def chosen(guest: Guest, scenario: Scenario, passed: Sequence[Moment]) -> Sequence[Moment]:
    """The moments at which somebody dies."""
    return passed if WHOLE else choose(passed, f"{scenario.name} {guest.datastore.name} {PATH.value}")


def in_words(wrong: Mapping[str, Sequence[str]]) -> str:
    """What is wrong, by the moments of the deaths."""
    lines: list[str] = []
    for moment, found in wrong.items():
        lines += [f"killed at {moment}:", *(f"  {line}" for text in found for line in text.splitlines())]
    return "\n".join(lines)
