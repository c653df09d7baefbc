"""The figures, as a table for people and as JSON for programs."""

import dataclasses
import datetime
import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.budgets import Budget, Rounds, Verdict
from benchmarks.table import aligned, number

LABELS = {
    "start_ms": "start to first answer, ms",
    "modules": "modules imported",
    "idle_mib": "resident memory, MiB",
    "loaded_mib": "resident memory after the calls, MiB",
    "p50_ms": "latency of a ping, p50, ms",
    "p99_ms": "latency of a ping, p99, ms",
    "calls_per_s": "calls per second, 8 under way",
    "cpu_ms_per_call": "processor time per call, ms",
    "idle_cpu_ms_per_s": "processor time when idle, ms/s",
    "connections": "connections at the broker",
    "channels": "channels at the broker",
    "queues": "queues at the broker",
    "installed_mib": "installed, MiB",
    "installed_files": "installed files",
    "installed_distributions": "installed distributions",
}
"""Every figure, in the table's order."""


class Figures:
    """The values of every figure of every peer, in the order in which they were measured."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, list[float]]] = {figure: {} for figure in LABELS}

    def add(self, peer: str, values: Mapping[str, float]) -> None:
        """Add what was measured of one peer; the keys are those of :data:`LABELS`."""
        for figure, value in values.items():
            self._values[figure].setdefault(peer, []).append(value)

    def rounds(self, figure: str) -> Rounds:
        """One figure's values, by the peers' names."""
        return self._values[figure]


@dataclasses.dataclass(frozen=True)
class Report:
    """Everything that was measured.

    :ivar settings: how it was measured.
    :ivar peers: names, in the table's order.
    """

    settings: Mapping[str, Any]
    peers: Sequence[str]
    figures: Figures

    def table(self, budgets: Sequence[Budget]) -> str:
        """Medians of all figures, then every budget and whether it is kept."""
        rows = [["", *self.peers]]
        for figure, label in LABELS.items():
            rows.append([label, *(number(statistics.median(self.figures.rounds(figure)[peer])) for peer in self.peers)])
        return f"{aligned(rows)}\n\n{judged(self._judge(budgets), LABELS)}"

    def document(self, budgets: Sequence[Budget]) -> dict[str, Any]:
        """The same for programs, with the values of every round."""
        return {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "machine": machine(),
            "settings": dict(self.settings),
            "figures": {figure: summaries(self.figures.rounds(figure)) for figure in LABELS},
            "budgets": documents(self._judge(budgets)),
        }

    def _judge(self, budgets: Sequence[Budget]) -> list[Verdict]:
        return [budget.judge(self.figures.rounds(budget.figure)) for budget in budgets]


def summaries(rounds: Rounds) -> dict[str, dict[str, Any]]:
    """One figure's values for programs, by the peers' names."""
    return {
        peer: {"median": round(statistics.median(values), 3), "rounds": [round(value, 3) for value in values]}
        for peer, values in rounds.items()
    }


def judged(verdicts: Sequence[Verdict], labels: Mapping[str, str]) -> str:
    """A line for every budget, and whether it is kept.

    :param labels: of the figures.
    """
    rows = [["budget", "reached", "limit", ""]]
    for verdict in verdicts:
        kept = "pass" if verdict.kept else "MISSED"
        limit = number(verdict.budget.limit)
        bound = f"≥{limit}" if verdict.budget.at_least else limit
        rows.append([_describe(verdict.budget, labels), number(verdict.reached), bound, kept])
    return aligned(rows)


def documents(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [
        {**dataclasses.asdict(verdict.budget), "reached": round(verdict.reached, 3), "kept": verdict.kept}
        for verdict in verdicts
    ]


def add_part(output: Path, name: str, document: dict[str, Any]) -> None:
    """Write the figures of a part beside those of the comparison, where it has been made."""
    others = json.loads(output.read_text()) if output.exists() else {}
    output.write_text(json.dumps(others | {name: document}, indent=1) + "\n")


def machine() -> str:
    """The machine in words that tell how fast it is and not which one it is."""
    models = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    kilobytes = int(next(line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")))
    return (
        f"{os.cpu_count()} processors ({models[0] if models else platform.machine()}), {kilobytes >> 20} GiB, "
        f"Linux {platform.release().partition('-')[0]}, Python {platform.python_version()}"
    )


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _describe(budget: Budget, labels: Mapping[str, str]) -> str:
    figure = labels[budget.figure]
    if budget.reference is None:
        return f"{budget.peer}: {figure}"
    return f"{budget.peer}: {figure}, divided by that of {budget.reference}"
