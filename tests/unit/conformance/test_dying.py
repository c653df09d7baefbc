"""The moment of a death is chosen, and what becomes of an operation then is known beforehand."""

import pytest

from guestagent import contract
from guestagent.conformance.dying import choose, expected_end
from guestagent.conformance.killed_agent import ACCEPTING, AFTER, ENDED, KINDS, Moment
from guestagent.contract.call import TROVE
from guestagent.contract.operations import CodePath

PASSED = [Moment("restart", kind, plan, step) for plan in ("a", "b") for step in ("1", "2", "3") for kind in KINDS]
CALL, CAST = contract.ALLOWED[TROVE, "update_overrides"], contract.ALLOWED[TROVE, "create_user"]


def test_one_is_chosen_and_another_for_another_name() -> None:
    chosen = {moment for number in range(50) for moment in choose(PASSED, f"name {number}")}
    assert chosen.issubset(PASSED)
    assert len(chosen) > 20
    assert choose([], "name") == []


@pytest.mark.parametrize("name", [f"name {number}" for number in range(10)])
def test_it_is_the_same_without_some_of_the_others(name: str) -> None:
    [chosen] = choose(PASSED, name)
    assert choose([moment for moment in PASSED[::2] if moment != chosen] + [chosen], name) == [chosen]


@pytest.mark.parametrize(
    ("path", "declared", "kind", "end"),
    [
        (CodePath.LEGACY, CALL, AFTER, "failed"),
        (CodePath.CONVERGENCE, CALL, AFTER, "done"),
        (CodePath.LEGACY, CALL, ENDED, "done"),
        (CodePath.LEGACY, CALL, ACCEPTING, None),
        (CodePath.LEGACY, CAST, ACCEPTING, "done"),
    ],
)
def test_what_an_operation_ends_as(path: CodePath, declared: contract.Call, kind: str, end: str | None) -> None:
    assert CAST.cast
    assert not CALL.cast
    assert expected_end(path, declared, Moment(declared.name, kind), "done") == end


def test_what_nobody_goes_on_with_is_given_up_on_both_paths() -> None:
    for path in CodePath:
        assert expected_end(path, CALL, Moment(CALL.name, AFTER), "done", resumable=False) == "failed"
