"""How fast backups are, as a table for people and as JSON for programs."""

import datetime
import statistics
from collections.abc import Mapping
from typing import Any

from benchmarks.budgets import (
    BACKUP_BUDGETS,
    ENCRYPTING_WORKER,
    GZIP_PIPELINE,
    PIPELINE,
    QUIET,
    WORKER,
    Rounds,
    Verdict,
)
from benchmarks.process import MIB
from benchmarks.report import documents, judged, machine, summaries
from benchmarks.table import aligned, number

COLUMNS = (PIPELINE, WORKER, ENCRYPTING_WORKER, GZIP_PIPELINE, QUIET)
LABELS = {
    "backup_mib_s": "backup, MiB/s",
    "restore_mib_s": "restore, MiB/s",
    "backup_cpu_s": "processor time of a backup, s/GiB",
    "restore_cpu_s": "processor time of a restore, s/GiB",
    "stored_mib": "stored, MiB",
    "peak_mib": "peak memory of the worker, MiB",
    "queries_per_s": "queries per second meanwhile",
    "p95_ms": "95 % of them within, ms",
    "of_gzip": "backup, times gzip -6",
}
"""Every figure, in the table's order."""


class BackupReport:
    """Everything that was measured of backups.

    :param settings: how it was measured.
    :param size: bytes of the data.
    """

    def __init__(self, settings: Mapping[str, Any], size: int) -> None:
        self._settings = dict(settings) | {"data_mib": round(size / MIB)}
        self._values: dict[str, dict[str, list[float]]] = {figure: {} for figure in LABELS}

    def add(self, name: str, values: Mapping[str, float]) -> None:
        """Add what was measured of one way; the keys are those of :data:`LABELS`."""
        for figure, value in values.items():
            self._values[figure].setdefault(name, []).append(value)

    def table(self) -> str:
        """Medians of all figures, then every budget and whether it is kept."""
        rows = [[f"{self._settings['data_mib']} MiB of data", *COLUMNS]]
        for figure, label in LABELS.items():
            rounds = self._rounds(figure)
            rows.append(
                [label, *(number(statistics.median(rounds[name])) if name in rounds else "-" for name in COLUMNS)]
            )
        return f"{aligned(rows)}\n\n{judged(self._judge(), LABELS)}"

    def document(self) -> dict[str, Any]:
        """The same for programs, with the values of every round."""
        return {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "machine": machine(),
            "settings": self._settings,
            "figures": {figure: summaries(self._rounds(figure)) for figure in LABELS},
            "budgets": documents(self._judge()),
        }

    def _rounds(self, figure: str) -> Rounds:
        if figure != "of_gzip":
            return self._values[figure]
        # The slow one is measured once.
        speeds = self._values["backup_mib_s"]
        (once,) = speeds[GZIP_PIPELINE]
        return {WORKER: [value / once for value in speeds[WORKER]]}

    def _judge(self) -> list[Verdict]:
        return [budget.judge(self._rounds(budget.figure)) for budget in BACKUP_BUDGETS]
