"""The server dies while the agent works on it, or together with the agent."""

import functools
import os
import signal

import pytest

from guestagent.conformance.claims import claims
from guestagent.conformance.dying import Undisturbed
from guestagent.conformance.guest import PATIENCE
from guestagent.conformance.killed_agent import AFTER, BEGUN, INSIDE, Moment
from guestagent.conformance.mortal import MortalGuest, is_stopped
from guestagent.conformance.poll import eventually
from guestagent.conformance.suite.deaths import ON_SOME, WithMortalGuest, again, begin, die_in, see, unsettled
from guestagent.conformance.suite.scenarios.scenario import Scenario


class TestServerDies(WithMortalGuest):
    """The operation ends, well or with a word of why not, and can be asked for again."""

    @claims("prepare")
    @pytest.mark.parametrize("meant", ON_SOME, ids=lambda scenario: scenario.name)
    def test_while_the_agent_works_on_it(self, mortal: MortalGuest, meant: Scenario) -> None:
        see(mortal, meant, lose_server_in, {BEGUN, INSIDE, AFTER})

    @claims("prepare")
    @pytest.mark.parametrize("meant", ON_SOME, ids=lambda scenario: scenario.name)
    def test_together_with_the_agent(self, mortal: MortalGuest, meant: Scenario) -> None:
        see(mortal, meant, functools.partial(die_in, with_it=lambda guest, moment: guest.end_server()))


def lose_server_in(guest: MortalGuest, scenario: Scenario, undisturbed: Undisturbed, moment: Moment) -> list[str]:
    """Have the server die at a moment of the operation.

    :returns: what is not as it must be, in words.
    """
    if spoiled := begin(guest, scenario, undisturbed):
        return spoiled
    arguments = scenario.arguments(guest)
    guest.script.stop_at(moment)
    request_id, _ = guest.send(scenario.call, arguments)
    agent = guest.agent.process.pid
    eventually(lambda: is_stopped(agent) or guest.agent.is_over(request_id), timeout=PATIENCE, message=guest.agent.tail)
    if not is_stopped(agent):
        # A step does not wait every time where it has waited once.
        guest.script.clear()
        return []
    guest.end_server()
    os.kill(agent, signal.SIGCONT)
    ended = eventually(lambda: guest.operation(request_id, ended=True), timeout=PATIENCE, message=guest.agent.tail)
    guest.wait_for_rest()
    if ended["state"] != "done" and not ended["error"]:
        return ["it failed without a word"]
    wrong = unsettled(guest, scenario, undisturbed, ended["state"], renewed=True)
    return wrong or again(guest, scenario, undisturbed, renewed=True)
