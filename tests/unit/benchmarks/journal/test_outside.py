"""The same calls with a journal and without."""

from pathlib import Path

import pytest

from benchmarks.budgets import JOURNAL, NO_JOURNAL
from benchmarks.journal import outside
from benchmarks.journal.guest import TrivialGuest, message
from guestagent import contract
from guestagent.contract.call import TROVE
from guestagent.operations.journal import NoJournal


@pytest.mark.parametrize("call", outside.CALLS.values())
def test_they_are_no_operations_and_are_answered(tmp_path: Path, call: str):
    assert contract.ALLOWED[TROVE, call].reads
    with TrivialGuest(tmp_path / "state", lambda store, state_dir: NoJournal()) as guest:
        assert guest.dispatch(message(call))


def test_both_are_asked_in_every_round(tmp_path: Path):
    measured = outside.measure(tmp_path, rounds=2, repeats=3)

    for guests in measured.values():
        assert {name: len(samples.medians) for name, samples in guests.items()} == {JOURNAL: 2, NO_JOURNAL: 2}
        assert all(samples.median > 0 for samples in guests.values())
