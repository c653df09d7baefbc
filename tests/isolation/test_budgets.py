"""The agent of every family keeps those budgets of the runtime that a busy machine does not change."""

import dataclasses
from pathlib import Path

import pytest

from benchmarks.budgets import BUDGETS, Budget
from benchmarks.measures import take_turn
from benchmarks.peers import AGENT, FLOOR, agent_of, floor
from guestagent.conformance.rabbit import Rabbit
from tests.support.family import Family

STEADY = ("idle_mib", "loaded_mib", "modules")
KEPT = [one for one in BUDGETS if one.figure in STEADY and one.peer == AGENT and one.reference in (None, FLOOR)]
CALLS = 300


@pytest.fixture(scope="module")
def figures(rabbit: Rabbit, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """The floor's."""
    rabbit.start()
    peer = floor(tmp_path_factory.mktemp("floor"))
    peer.configure(rabbit.url)
    return dataclasses.asdict(take_turn(peer, rabbit, CALLS))


def test_an_agent_of_the_family_keeps_them(
    broker: Rabbit, guests_dir: Path, image_python: Path, family: Family, figures: dict[str, float]
) -> None:
    peer = agent_of(family, image_python, guests_dir)
    peer.configure(broker.url)
    measured = dataclasses.asdict(take_turn(peer, broker, CALLS))

    def reached(budget: Budget) -> float:
        return budget.judge({AGENT: [measured[budget.figure]], FLOOR: [figures[budget.figure]]}).reached

    assert len(KEPT) == len(STEADY)
    assert {budget.figure: reached(budget) for budget in KEPT if reached(budget) > budget.limit} == {}
