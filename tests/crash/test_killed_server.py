"""The database server dies while the agent works on it, or together with the agent."""

import os
import signal

import pytest

from guestagent.conformance.poll import eventually
from guestagent.contract.operations import CodePath
from tests.crash import moments, scenarios
from tests.crash.cases import (
    NEXT_START,
    Undisturbed,
    choose,
    go_undisturbed,
    see_each,
    told,
    unsettled,
    without,
)
from tests.crash.conftest import MakeGuest
from tests.crash.guest import PATIENCE, Guest, is_stopped
from tests.crash.moments import Moment
from tests.crash.scenarios import Scenario
from tests.crash.state import differences, litter, state_of

SAMPLED = {"create users", "change the certificate"}
"""Where not everything is tried."""
OUT_OF_REACH = ("user.", "grant.")
"""What nobody takes back when the server is down at that moment."""
STEPS = (moments.BEGUN, moments.INSIDE, moments.AFTER)


@pytest.fixture(scope="module", params=CodePath, ids=lambda path: path.value)
def guest(request: pytest.FixtureRequest, make_guest: MakeGuest) -> Guest:
    """A prepared guest."""
    guest = make_guest(request.param)
    guest.prepare()
    guest.wait_for_rest()
    guest.keep()
    guest.boot()
    return guest


@pytest.fixture(autouse=True)
def as_new(guest: Guest) -> None:
    """Every test begins with what was kept: users, for example, log in otherwise after TLS was changed."""
    guest.restore()
    guest.boot()


tried = pytest.mark.parametrize("scenario", scenarios.sampled(scenarios.on_a_prepared_guest(), SAMPLED))


@tried
def test_an_operation_ends_when_the_server_dies_in_it(
    guest: Guest, scenario: Scenario, is_whole: bool, only: str
) -> None:
    undisturbed = go_undisturbed(guest, scenario)
    inside = [moment for moment in undisturbed.passed if moment.kind in STEPS and only in str(moment)]
    chosen = inside if is_whole or only else choose(inside, f"{scenario.name} {guest.path.value}", 1)
    found = [
        f"server killed at {moment}: {wrong}"
        for moment in chosen
        for wrong in _lose_the_server(guest, scenario, undisturbed, moment)
    ]
    assert not found, "\n".join(found)


@tried
def test_an_operation_survives_the_agent_and_the_server(
    guest: Guest, scenario: Scenario, is_whole: bool, only: str
) -> None:
    undisturbed = go_undisturbed(guest, scenario)
    chosen = [moment for moment in undisturbed.passed if only in str(moment)]
    if not (is_whole or only):
        chosen = choose(chosen, f"{guest.path.value} {scenario.name}", 1)
    see_each(guest, scenario, undisturbed, chosen, server_too=True)


def _lose_the_server(guest: Guest, scenario: Scenario, undisturbed: Undisturbed, moment: Moment) -> list[str]:
    scenario.arrange(guest)
    guest.wait_for_rest()
    guest.script.stop_at(moment)
    sent = scenario.send(guest)
    agent = guest.agent.process.pid
    eventually(lambda: is_stopped(agent) or guest.is_over(sent), timeout=PATIENCE, message=guest.agent.tail)
    if not is_stopped(agent):
        # A step does not wait every time where it has waited once.
        guest.script.clear()
        return []
    guest.kill_server()
    os.kill(agent, signal.SIGCONT)
    details = guest.end_of(sent)
    # A server that dies is seen by the next heartbeat.
    guest.wait_for_rest()
    found = without(state_of(guest), NEXT_START)
    wrong = litter(guest)
    if details["state"] == "done":
        wrong += told(differences(undisturbed.without(NEXT_START).after, found))
    else:
        wrong += [] if details["error"] else ["it failed without a word"]
        ignored = (*NEXT_START, *OUT_OF_REACH)
        left = told(unsettled(scenario, undisturbed.without(ignored), without(found, ignored)))
        wrong += [f"it failed ({details['error']}), and {text}" for text in left]
    scenario.arrange(guest)
    guest.end_of(scenario.send(guest))
    guest.wait_for_rest()
    return wrong + [f"asked again: {text}" for text in told(differences(undisturbed.after, state_of(guest)))]
