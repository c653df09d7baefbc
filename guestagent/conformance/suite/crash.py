"""The agent is killed at a moment of an operation, and the next one makes of it what the code path says."""

import pytest

from guestagent import contract
from guestagent.conformance.claims import claimed_by, claims, given
from guestagent.conformance.datastore import is_given
from guestagent.conformance.guest import MakeGuest
from guestagent.conformance.mortal import MortalGuest
from guestagent.conformance.suite import backups
from guestagent.conformance.suite.deaths import WithMortalGuest, see, see_each_once
from guestagent.conformance.suite.scenarios import ON_A_PREPARED_GUEST
from guestagent.conformance.suite.scenarios.bringing_up import BRINGING_UP, restoration
from guestagent.conformance.suite.scenarios.disks import ON_ANOTHER_DISK
from guestagent.conformance.suite.scenarios.scenario import Scenario


class TestCrash(WithMortalGuest):
    """On the code path of this run; ``TEST_ENGINE=convergence`` is the other one."""

    @claims("prepare")
    @pytest.mark.parametrize("meant", ON_A_PREPARED_GUEST, ids=lambda scenario: scenario.name)
    def test_an_operation_survives_the_agent(self, mortal: MortalGuest, meant: Scenario) -> None:
        see(mortal, meant)

    @claims("prepare")
    @pytest.mark.parametrize("meant", ON_ANOTHER_DISK, ids=lambda scenario: scenario.name)
    @pytest.mark.usefixtures("another_disk")
    def test_so_does_one_on_a_disk(self, mortal: MortalGuest, meant: Scenario) -> None:
        see(mortal, meant)

    @claims("prepare")
    @pytest.mark.parametrize("meant", BRINGING_UP, ids=lambda scenario: scenario.name)
    def test_an_instance_comes_up_or_has_failed(self, make_guest: MakeGuest, meant: Scenario) -> None:
        see_each_once(make_guest, meant)

    @claims("prepare", "create_backup")
    @given("backup_strategy", "write", "read")
    def test_so_does_one_that_begins_with_a_backup(self, mortal: MortalGuest, make_guest: MakeGuest) -> None:
        see_each_once(make_guest, restoration(backups.made(mortal)))

    @claims("prepare")
    @given("write", "read")
    def test_every_change_that_is_claimed_is_tried(self, mortal: MortalGuest) -> None:
        datastore = type(mortal.datastore)
        claimed = claimed_by(datastore)
        changes = {declared.name for declared in contract.CALLS if declared.name in claimed and not declared.reads}
        tried = {
            scenario.call
            for scenario in (*ON_A_PREPARED_GUEST, *ON_ANOTHER_DISK, *BRINGING_UP)
            if claimed.issuperset(scenario.claims) and all(is_given(datastore, part) for part in scenario.given)
        }
        # That one is the runtime's own business.
        assert changes - tried == {"convert_engine"} & changes
