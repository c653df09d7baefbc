"""What the contract says may be repeated is repeated, and ends as the first time."""

from typing import Final

import pytest

from guestagent import contract
from guestagent.conformance.claims import claims
from guestagent.conformance.dying import differences, told
from guestagent.conformance.mortal import MortalGuest
from guestagent.conformance.poll import eventually
from guestagent.conformance.suite.deaths import WIDE, WithMortalGuest
from guestagent.conformance.suite.scenarios import ON_A_PREPARED_GUEST
from guestagent.conformance.suite.scenarios.disks import ON_ANOTHER_DISK
from guestagent.conformance.suite.scenarios.scenario import Scenario
from guestagent.conformance.suite.state import litter, state_of

TIMES: Final = 10 if WIDE else 2
REPEATABLE: Final = {declared.name for declared in contract.CALLS if declared.repeatable}
REPEATED: Final = [
    scenario
    for scenario in (*ON_A_PREPARED_GUEST, *ON_ANOTHER_DISK)
    if scenario.call in REPEATABLE and not scenario.fails
]


class TestRepetition(WithMortalGuest):
    """As many times as somebody likes are as good as once."""

    @claims("prepare")
    @pytest.mark.parametrize("meant", REPEATED, ids=lambda scenario: scenario.name)
    @pytest.mark.usefixtures("another_disk")
    def test_the_state_is_that_after_the_first(self, mortal: MortalGuest, meant: Scenario) -> None:
        meant.arrange(mortal)
        arguments = meant.arguments(mortal)
        states = []
        for _ in range(TIMES):
            mortal.do(meant.call, arguments)
            mortal.wait_for_rest()
            states.append(state_of(mortal, meant))
        meant.leave(mortal)
        assert [told(differences(states[0], later)) for later in states[1:]] == [[]] * (TIMES - 1)
        eventually(lambda: not litter(mortal), message=lambda: str(litter(mortal)))
