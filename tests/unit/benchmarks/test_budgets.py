"""What the agent may cost, and whether it does not cost more."""

import pytest

from benchmarks.budgets import BUDGETS, Budget
from benchmarks.report import LABELS

ROUNDS = {"agent": [10.0, 400.0, 12.0], "floor": [10.0, 200.0, 10.0]}


def test_a_quotient_is_taken_in_every_round_so_that_a_slow_one_counts_on_both_sides():
    verdict = Budget("start_ms", "agent", 1.25, "floor").judge(ROUNDS)

    assert verdict.reached == pytest.approx(1.2)
    assert verdict.kept


def test_without_a_reference_the_median_itself_is_judged():
    assert Budget("modules", "agent", 11).judge(ROUNDS).reached == 12
    assert not Budget("modules", "agent", 11).judge(ROUNDS).kept


def test_the_limit_itself_is_kept():
    assert Budget("modules", "agent", 12).judge(ROUNDS).kept


def test_rounds_that_one_side_lacks_are_no_comparison():
    with pytest.raises(ValueError, match="shorter"):
        Budget("start_ms", "agent", 1.25, "floor").judge({"agent": [1.0, 2.0], "floor": [1.0]})


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda budget: f"{budget.peer}-{budget.figure}-{budget.reference}")
def test_every_budget_is_about_a_figure_that_is_reported(budget: Budget):
    assert budget.figure in LABELS
