"""What the journal costs, as tables for people and as JSON for programs."""

import json

import pytest

from benchmarks.budgets import JOURNAL, JOURNAL_BUDGETS, NO_JOURNAL
from benchmarks.journal.costs import FIGURES, FLOOR
from benchmarks.journal.kinds import KINDS
from benchmarks.journal.report import LABELS, JournalReport
from benchmarks.journal.samples import Samples
from benchmarks.journal.syncs import NotCounted, Syncs

COUNTED = dict.fromkeys(KINDS, 2.0)


def samples(*medians: float) -> Samples:
    made = Samples()
    for value in medians:
        made.begin_round()
        made.add([value, value])
    return made


def report(syncs: Syncs = COUNTED, with_journal: float = 4.0) -> JournalReport:
    figures = {figure: samples(300.0, 600.0) for figure in FIGURES} | {FLOOR: samples(100.0, 200.0)}
    outside = {figure: {JOURNAL: samples(with_journal, 8.0), NO_JOURNAL: samples(4.0, 8.0)} for figure in LABELS}
    return JournalReport({"rounds": 2}, {"tree": "ext4"}, {"tree": figures}, syncs, outside)


def test_the_table_has_a_line_for_every_figure_and_names_the_file_system():
    lines = report().table().splitlines()

    assert lines[0].startswith("journal in tree: ext4 ")
    for label in FIGURES.values():
        assert any(line.startswith(f"{label} ") for line in lines)
    assert lines[2].split()[-4:] == ["450", "600", "3", "2.00"]


@pytest.mark.parametrize(("with_journal", "verdict"), [(4.0, "pass"), (5.0, "MISSED")])
def test_the_budget_of_calls_outside_of_operations_is_judged(with_journal: float, verdict: str):
    assert [line.split()[-1] for line in report(with_journal=with_journal).table().splitlines()[-2:]] == [verdict] * 2


def test_where_nobody_could_count_there_is_no_number_and_the_reason():
    uncounted = report(NotCounted("strace: not here"))

    assert uncounted.table().splitlines()[2].split()[-1] == "-"
    assert "\nsyncs are not counted: strace: not here\n" in uncounted.table()
    assert uncounted.document()["syncs"] == {"not_counted": "strace: not here"}


def test_the_document_holds_every_round_the_syncs_and_the_verdicts():
    document = json.loads(json.dumps(report().document()))

    assert document["places"]["tree"]["file_system"] == "ext4"
    assert document["places"]["tree"]["figures"]["call"] == {
        "p50_us": 450.0,
        "p99_us": 600.0,
        "rounds": [300.0, 600.0],
        "of_floor": 3.0,
    }
    assert document["syncs"] == COUNTED
    assert [(budget["reached"], budget["kept"]) for budget in document["budgets"]] == [(1.0, True), (1.0, True)]


@pytest.mark.parametrize("budget", JOURNAL_BUDGETS, ids=lambda budget: budget.figure)
def test_every_budget_is_about_a_figure_that_is_reported(budget):
    assert budget.figure in LABELS
