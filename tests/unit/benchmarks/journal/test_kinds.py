"""Every kind of operation is what the table says of it, and is written down by the journal that an agent has."""

import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.journal.kinds import KEEP, KINDS, STEPS, Guest, Kind, do, guest
from benchmarks.journal.stopwatch import TimedJournal
from guestagent.operations.journal import Journal


@pytest.fixture
def measured(tmp_path: Path) -> Iterator[Guest]:
    with guest(tmp_path) as made:
        yield made


def test_the_journal_is_full_before_anything_is_measured(measured: Guest):
    assert len(measured.journal.list(2 * KEEP)) == KEEP


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_it_is_in_the_journal_and_has_ended_there(measured: Guest, kind: Kind):
    values = do(measured, kind)

    newest = measured.journal.show(measured.journal.list(1)[0].id)
    assert newest is not None
    assert (newest.state, newest.engine) == ("done", kind.path.value)
    assert list(measured.journal.unfinished()) == []
    assert len(values) == (kind.steps - 1 if kind.steps else 1)


@pytest.mark.parametrize(
    ("name", "state"),
    [("legacy", None), ("legacy-undo", "done"), ("convergence", "done"), ("convergence-undo", "done")],
)
def test_the_steps_that_its_code_path_writes_down_and_no_other_cost_something(
    measured: Guest, name: str, state: str | None
):
    values = do(measured, KINDS[name])

    newest = measured.journal.show(measured.journal.list(1)[0].id)
    assert newest is not None
    assert [step.state for step in newest.steps or []] == ([state] * STEPS if state else [])
    assert all((value > 0) == bool(state) for value in values)


@pytest.mark.parametrize("name", ["call", "cast"])
def test_an_operation_costs_something(measured: Guest, name: str):
    assert all(value > 0 for value in do(measured, KINDS[name]))


def test_everything_that_a_change_asks_of_the_journal_is_timed():
    asked = {name for name, _ in inspect.getmembers(Journal, inspect.isfunction) if not name.startswith("_")}
    once_at_the_start, for_people = {"unfinished", "count_attempt"}, {"list", "show"}

    assert asked - once_at_the_start - for_people == {name for name in vars(TimedJournal) if name in asked}
