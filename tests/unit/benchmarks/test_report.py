"""The figures, as a table for people and as JSON for programs."""

import json
import socket

from benchmarks.budgets import Budget
from benchmarks.report import LABELS, Figures, Report, machine

KEPT = Budget("modules", "agent", 650)
MISSED = Budget("start_ms", "agent", 1.25, "floor")


def report() -> Report:
    figures = Figures()
    for _ in range(3):
        for peer in ("floor", "agent"):
            figures.add(peer, dict.fromkeys(LABELS, 1.0))
    for value in (100.0, 300.0, 200.0):
        figures.add("floor", {"start_ms": value})
        figures.add("agent", {"start_ms": 2 * value})
    return Report({"rounds": 3}, ["floor", "agent"], figures)


def test_the_table_has_a_line_for_every_figure_and_a_verdict_for_every_budget():
    lines = report().table([KEPT, MISSED]).splitlines()

    assert [label for label in LABELS.values() if not any(line.startswith(f"{label} ") for line in lines)] == []
    assert lines[-2].split()[-3:] == ["1", "650", "pass"]
    assert lines[-1].split()[-3:] == ["1.500", "1.250", "MISSED"]


def test_the_document_holds_every_round_and_the_verdicts():
    document = json.loads(json.dumps(report().document([KEPT, MISSED])))

    assert document["figures"]["start_ms"]["floor"] == {"median": 50.5, "rounds": [1.0, 1.0, 1.0, 100.0, 300.0, 200.0]}
    assert [(budget["figure"], budget["reached"], budget["kept"]) for budget in document["budgets"]] == [
        ("modules", 1.0, True),
        ("start_ms", 1.5, False),
    ]
    assert document["settings"] == {"rounds": 3}


def test_the_machine_is_described_without_its_name():
    assert "Python" in machine()
    assert socket.gethostname() not in machine()
