"""The agent is killed at a moment of an operation; the next agent makes of it what the instance's code path says."""

from collections.abc import Iterator

import pytest

from guestagent.contract.operations import CodePath
from tests.crash import scenarios
from tests.crash.cases import choose, go_undisturbed, see_each
from tests.crash.conftest import MakeGuest
from tests.crash.guest import Guest
from tests.crash.scenarios import Scenario

SAMPLED = 2
"""Moments of an operation that are tried where not all are."""

Guests = dict[CodePath, Guest]


@pytest.fixture(scope="module")
def guests(make_guest: MakeGuest) -> Guests:
    """A prepared guest of each code path, both at rest."""
    found = {}
    for path in CodePath:
        guest = found[path] = make_guest(path)
        guest.prepare()
        guest.wait_for_rest()
        guest.keep()
        guest.boot()
    return found


@pytest.fixture
def guest(guests: Guests, path: CodePath, request: pytest.FixtureRequest) -> Iterator[Guest]:
    """The guest of the code path; as new after a test that failed."""
    guest = guests[path]
    failed = request.session.testsfailed
    yield guest
    if request.session.testsfailed != failed or not guest.agent.running:
        guest.restore()
        guest.boot()


@pytest.mark.parametrize("path", CodePath, ids=lambda path: path.value)
@pytest.mark.parametrize("scenario", scenarios.on_a_prepared_guest(), ids=lambda scenario: scenario.name)
def test_an_operation_survives_the_agent(
    guest: Guest, scenario: Scenario, path: CodePath, is_whole: bool, only: str
) -> None:
    undisturbed = go_undisturbed(guest, scenario)
    chosen = [moment for moment in undisturbed.passed if only in str(moment)]
    if not (is_whole or only):
        chosen = choose(chosen, f"{scenario.name} {path.value}", SAMPLED)
    see_each(guest, scenario, undisturbed, chosen)
