"""What the contract says may be repeated is repeated ten times, and ends as the first time."""

from pathlib import Path

import pytest

from guestagent import contract
from guestagent.contract.call import OWN, TROVE
from guestagent.contract.operations import CodePath
from tests.crash import scenarios
from tests.crash.cases import told
from tests.crash.conftest import MakeGuest
from tests.crash.devices import beside
from tests.crash.guest import Guest
from tests.crash.scenarios import Scenario
from tests.crash.state import differences, litter, state_of

TIMES = 10


def may_be_repeated(scenario: Scenario) -> bool:
    """Whether the contract says so of a call that goes well."""
    return contract.ALLOWED[OWN if scenario.own else TROVE, scenario.call].repeatable and not scenario.fails


REPEATED = [scenario for scenario in scenarios.on_a_prepared_guest() if may_be_repeated(scenario)]


@pytest.fixture(scope="module", params=scenarios.BOTH_PATHS, ids=lambda path: path.value)
def guest(request: pytest.FixtureRequest, make_guest: MakeGuest) -> Guest:
    """A prepared guest."""
    guest = make_guest(request.param)
    guest.prepare()
    guest.wait_for_rest()
    return guest


@pytest.mark.parametrize("scenario", REPEATED, ids=lambda scenario: scenario.name)
def test_ten_times_are_as_good_as_one(guest: Guest, scenario: Scenario) -> None:
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


@pytest.mark.parametrize("path", scenarios.BOTH_PATHS, ids=lambda path: path.value)
def test_ten_preparations_are_as_good_as_one(make_guest: MakeGuest, path: CodePath) -> None:
    guest = make_guest(path)
    scenarios.PREPARATION.arrange(guest)
    repeat(guest, scenarios.PREPARATION)


@pytest.mark.parametrize("number", range(3), ids=["mount", "unmount", "grow"])
def test_ten_times_on_a_volume_are_as_good_as_one(guest: Guest, number: int, tmp_path: Path) -> None:
    with beside(guest, tmp_path, "ext4") as device:
        scenario = scenarios.on_a_volume(device, guest.home / "extra", "ext4")[number]
        scenario.arrange(guest)
        repeat(guest, scenario)
