"""What the contract says may be repeated is repeated ten times, and ends as the first time."""

import pytest

from guestagent import contract
from guestagent.contract.call import OWN, TROVE
from guestagent.contract.operations import CodePath
from tests.crash import scenarios
from tests.crash.cases import told
from tests.crash.conftest import MakeGuest
from tests.crash.guest import Guest
from tests.crash.scenarios import Scenario
from tests.crash.state import differences, litter, state_of

TIMES = 10


def may_be_repeated(scenario: Scenario) -> bool:
    """Whether the contract says so of a call that goes well."""
    return contract.ALLOWED[OWN if scenario.own else TROVE, scenario.call].repeatable and not scenario.fails


REPEATED = [scenario for scenario in scenarios.all_of_them() if may_be_repeated(scenario)]


@pytest.fixture(scope="module", params=CodePath, ids=lambda path: path.value)
def guest(request: pytest.FixtureRequest, make_guest: MakeGuest) -> Guest:
    """A prepared guest."""
    guest = make_guest(request.param)
    guest.prepare()
    guest.wait_for_rest()
    return guest


@pytest.mark.parametrize("scenario", scenarios.on_a_prepared_guest(), ids=lambda scenario: scenario.name)
def test_ten_times_are_as_good_as_one(guest: Guest, scenario: Scenario) -> None:
    if not may_be_repeated(scenario):
        pytest.skip("the contract says nothing of repetitions")
    scenario.arrange(guest)
    guest.wait_for_rest()
    repeat(guest, scenario)


def repeat(guest: Guest, scenario: Scenario) -> None:
    """Do it ten times, and see that the state is that after the first."""
    states = []
    for _ in range(TIMES):
        sent = scenario.send(guest)
        details = guest.end_of(sent)
        assert details["state"] == "done", details["error"]
        guest.wait_for_rest()
        states.append(state_of(guest))
    assert [told(differences(states[0], later)) for later in states[1:]] == [[]] * (TIMES - 1)
    assert litter(guest) == []
