"""How fast backups are, as a table for people and as JSON for programs."""

import json

import pytest

from benchmarks.backup.families import DATASTORES, family
from benchmarks.backup.report import LABELS, BackupReport
from benchmarks.budgets import BGSAVE, ENCRYPTING_WORKER, GZIP_PIPELINE, PIPELINE, QUIET, WORKER

MARIADB = family("mariadb")
REDIS = family("redis")
BUDGETS = len(MARIADB.budgets)


def report(speed: float = 120.0) -> BackupReport:
    made = BackupReport({"rounds": 2}, 64 << 20, MARIADB.columns, MARIADB.budgets)
    for _ in range(2):
        for name in (PIPELINE, WORKER, ENCRYPTING_WORKER):
            made.add(name, {"backup_cpu_s": 4.0, "restore_cpu_s": 4.0, "stored_mib": 20.0, "p95_ms": 1.0})
        made.add(PIPELINE, {"backup_mib_s": 100.0, "restore_mib_s": 100.0, "queries_per_s": 600.0})
        for name in (WORKER, ENCRYPTING_WORKER):
            made.add(name, {"backup_mib_s": speed, "restore_mib_s": 100.0, "queries_per_s": 700.0})
        made.add(QUIET, {"queries_per_s": 1000.0})
    for name in (WORKER, ENCRYPTING_WORKER):
        made.add(name, {"peak_mib": 80.0})
    made.add(GZIP_PIPELINE, {"backup_mib_s": 11.0})
    return made


def test_the_table_has_a_line_for_every_figure_and_a_dash_where_nothing_was_measured():
    lines = report().table().splitlines()

    assert lines[0].startswith("64 MiB of data ")
    for label in LABELS.values():
        assert any(line.startswith(f"{label} ") for line in lines)
    assert lines[1].split()[-5:] == ["100", "120", "120", "11", "-"]


@pytest.mark.parametrize(("speed", "kept"), [(120.0, 6), (107.0, 4), (103.0, 3)])
def test_every_budget_is_judged(speed: float, kept: int):
    ends = [line.split()[-1] for line in report(speed).table().splitlines()[-BUDGETS:]]

    assert ends.count("pass") == kept
    assert ends.count("MISSED") == BUDGETS - kept


def test_the_document_holds_every_round_and_the_verdicts():
    document = json.loads(json.dumps(report().document()))

    assert document["settings"] == {"rounds": 2, "data_mib": 64}
    assert document["figures"]["backup_mib_s"][WORKER] == {"median": 120.0, "rounds": [120.0, 120.0]}
    assert document["figures"]["of_gzip"] == {WORKER: {"median": 10.909, "rounds": [10.909, 10.909]}}
    assert (document["budgets"][0]["reached"], document["budgets"][0]["kept"]) == (1.2, True)


def test_what_nobody_was_asked_for_has_no_line():
    made = BackupReport({}, 64 << 20, REDIS.columns, REDIS.budgets)
    for name in (BGSAVE, WORKER, ENCRYPTING_WORKER):
        made.add(name, {"backup_mib_s": 100.0, "peak_mib": 80.0})

    text = made.table()

    assert text.splitlines()[0].split()[-3:] == [BGSAVE, WORKER, ENCRYPTING_WORKER]
    assert "queries" not in text
    assert "gzip" not in text
    assert "of_gzip" not in made.document()["figures"]


@pytest.mark.parametrize("name", DATASTORES)
def test_every_budget_is_about_a_figure_that_is_reported_and_somebody_who_is_measured(name: str):
    measured = family(name)

    for budget in measured.budgets:
        assert budget.figure in LABELS
        assert {budget.peer, budget.reference or budget.peer} <= set(measured.columns)


def test_no_part_of_the_results_overwrites_another():
    assert len({family(name).part for name in DATASTORES}) == len(DATASTORES)
