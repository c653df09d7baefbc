"""The agent is killed at a moment of an operation; the next agent makes of it what the instance's code path says."""

from collections.abc import Iterator

import pytest

from guestagent.conformance import killed_agent
from guestagent.conformance.suite.scenarios.disks import ON_ANOTHER_DISK
from guestagent.contract.operations import CodePath
from tests.crash import scenarios
from tests.crash.cases import go_undisturbed, see_some
from tests.crash.conftest import MakeGuest
from tests.crash.guest import KEPT, Guest
from tests.crash.scenarios import Scenario

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
        guest.renew()


@pytest.mark.parametrize("path", CodePath, ids=lambda path: path.value)
@pytest.mark.parametrize("scenario", scenarios.on_a_prepared_guest(), ids=lambda scenario: scenario.name)
def test_an_operation_survives_the_agent(
    guest: Guest, scenario: Scenario, path: CodePath, is_whole: bool, only: str
) -> None:
    see_some(guest, scenario, go_undisturbed(guest, scenario), is_whole, only)


def test_every_operation_is_tried(guests: Guests) -> None:
    described = guests[CodePath.CONVERGENCE].ask("describe")["calls"]
    changes = {call["name"] for call in described if call["supported"] and not call["reads"]}
    here = [*scenarios.on_a_prepared_guest(), scenarios.CONVERSION, scenarios.PREPARATION, scenarios.REBUILD]
    # The kit kills the agents of all families on another disk.
    assert changes - {scenario.call for scenario in (*here, *ON_ANOTHER_DISK)} == set()


def test_the_agent_passes_every_step_of_the_journal(guests: Guests) -> None:
    guest = guests[CodePath.CONVERGENCE]
    guest.script.record()
    sent = guest.send("create_user", {"users": [{"_name": "eva", "_password": "x", "_databases": [{"_name": KEPT}]}]})
    details = guest.ask("operation_show", operation_id=guest.end_of(sent)["id"])
    passed = [moment for moment in guest.script.recorded() if moment.kind == killed_agent.NOTED]
    assert [(moment.plan, moment.step) for moment in passed] == [
        (step["plan"], step["name"]) for step in details["steps"]
    ]


def test_a_conversion_survives_the_agent(make_guest: MakeGuest, is_whole: bool, only: str) -> None:
    guest = make_guest(CodePath.LEGACY)
    guest.prepare()
    see_some(guest, scenarios.CONVERSION, go_undisturbed(guest, scenarios.CONVERSION), is_whole, only)
