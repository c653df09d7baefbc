"""How fast backups are, as a table for people and as JSON for programs."""

import datetime
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.budgets import GZIP_PIPELINE, WORKER, Budget, Rounds, Verdict
from benchmarks.process import MIB
from benchmarks.report import documents, judged, machine, summaries
from benchmarks.table import aligned, number

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
    :param columns: who was measured, in the table's order.
    """

    def __init__(
        self, settings: Mapping[str, Any], size: int, columns: Sequence[str], budgets: Sequence[Budget]
    ) -> None:
        self._columns = columns
        self._budgets = budgets
        self._settings = dict(settings) | {"data_mib": round(size / MIB)}
        self._values: dict[str, dict[str, list[float]]] = {figure: {} for figure in LABELS}

    def add(self, name: str, values: Mapping[str, float]) -> None:
        """Add what was measured of one way; the keys are those of :data:`LABELS`."""
        for figure, value in values.items():
            self._values[figure].setdefault(name, []).append(value)

    def table(self) -> str:
        """Medians of all figures, then every budget and whether it is kept."""
        rows = [[f"{self._settings['data_mib']} MiB of data", *self._columns]]
        for figure, rounds in self._figures().items():
            cells = (number(statistics.median(rounds[name])) if name in rounds else "-" for name in self._columns)
            rows.append([LABELS[figure], *cells])
        return f"{aligned(rows)}\n\n{judged(self._judge(), LABELS)}"

    def document(self) -> dict[str, Any]:
        """The same for programs, with the values of every round."""
        return {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "machine": machine(),
            "settings": self._settings,
            "figures": {figure: summaries(rounds) for figure, rounds in self._figures().items()},
            "budgets": documents(self._judge()),
        }

    def _figures(self) -> dict[str, Rounds]:
        """Every figure that something was measured of."""
        found: dict[str, Rounds] = {figure: values for figure, values in self._values.items() if values}
        speeds = self._values["backup_mib_s"]
        if GZIP_PIPELINE in speeds:
            # The slow one is measured once.
            (once,) = speeds[GZIP_PIPELINE]
            found["of_gzip"] = {WORKER: [value / once for value in speeds[WORKER]]}
        return found

    def _judge(self) -> list[Verdict]:
        figures = self._figures()
        return [budget.judge(figures[budget.figure]) for budget in self._budgets]
