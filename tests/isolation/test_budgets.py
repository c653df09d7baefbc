"""The agent of every family keeps those budgets of the runtime that a busy machine does not change."""

import dataclasses
from pathlib import Path

import pytest

from benchmarks.budgets import BUDGETS, Budget
from benchmarks.measures import take_turn
from benchmarks.peers import AGENT, FLOOR, Peer, agent_of, floor
from guestagent.conformance.rabbit import Rabbit
from tests.support.family import Family

STEADY = ("idle_mib", "loaded_mib", "modules")
KEPT = [one for one in BUDGETS if one.figure in STEADY and one.peer == AGENT and one.reference in (None, FLOOR)]
CALLS = 300
TURNS = 3
"""The kernel counts memory late, and by so much a single look may be wrong."""


def measured(peer: Peer, rabbit: Rabbit) -> list[dict[str, float]]:
    """The peer's figures, of some turns."""
    peer.configure(rabbit.url)
    return [dataclasses.asdict(take_turn(peer, rabbit, CALLS)) for _ in range(TURNS)]


@pytest.fixture(scope="module")
def floors(rabbit: Rabbit, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, float]]:
    """The floor's."""
    rabbit.start()
    return measured(floor(tmp_path_factory.mktemp("floor")), rabbit)


def test_an_agent_of_the_family_keeps_them(
    broker: Rabbit, guests_dir: Path, image_python: Path, family: Family, floors: list[dict[str, float]]
) -> None:
    turns = {AGENT: measured(agent_of(family, image_python, guests_dir), broker), FLOOR: floors}

    def reached(budget: Budget) -> float:
        figures = {name: [turn[budget.figure] for turn in taken] for name, taken in turns.items()}
        return budget.judge(figures).reached

    assert len(KEPT) == len(STEADY)
    assert {budget.figure: reached(budget) for budget in KEPT if reached(budget) > budget.limit} == {}
