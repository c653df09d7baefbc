"""The machine loses its power: the agent, the server, the run directory and what was not on the disk yet are gone."""

import functools
import shutil

import pytest

from guestagent.conformance import journal_log
from guestagent.conformance.claims import claims
from guestagent.conformance.code_path import PATH
from guestagent.conformance.guest import MakeGuest, declared_as
from guestagent.conformance.killed_agent import NOTED, TURN, Moment
from guestagent.conformance.mortal import MortalGuest
from guestagent.conformance.suite.deaths import ON_SOME, WIDE, WithMortalGuest, die_in, see, see_each_once
from guestagent.conformance.suite.scenarios.bringing_up import BRINGING_UP
from guestagent.conformance.suite.scenarios.scenario import Scenario
from guestagent.contract.operations import CodePath


def cut_power(guest: MortalGuest, moment: Moment) -> None:
    """Have nothing left of a machine whose agent has just died but what was on its disks."""
    guest.end_server()
    shutil.rmtree(guest.agent.directory / "run", ignore_errors=True)
    if not _is_synced(moment):
        journal_log.lose_last_change(guest.agent.state_dir / "journal.db-wal")


def _is_synced(moment: Moment) -> bool:
    """Whether the last change of the journal is on the disk."""
    if moment.kind == NOTED:
        # The other path notes nothing of what is done.
        return PATH is not CodePath.CONVERGENCE
    # What somebody waits for is accepted when its turn has come.
    return moment.kind != TURN or not declared_as(moment.call).cast


in_the_dark = functools.partial(die_in, with_it=cut_power)


class TestPowerCut(WithMortalGuest):
    """An operation ends as when only the agent has died, although its last note is lost."""

    @claims("prepare")
    @pytest.mark.parametrize("meant", ON_SOME, ids=lambda scenario: scenario.name)
    def test_an_operation_survives_it(self, mortal: MortalGuest, meant: Scenario) -> None:
        see(mortal, meant, in_the_dark)

    @claims("prepare")
    @pytest.mark.parametrize("meant", BRINGING_UP if WIDE else BRINGING_UP[:1], ids=lambda scenario: scenario.name)
    def test_an_instance_comes_up_or_has_failed(self, make_guest: MakeGuest, meant: Scenario) -> None:
        see_each_once(make_guest, meant, in_the_dark)
