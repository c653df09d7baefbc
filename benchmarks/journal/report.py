"""What the journal costs, as tables for people and as JSON for programs."""

import dataclasses
import datetime
from collections.abc import Mapping
from typing import Any

from benchmarks.budgets import JOURNAL, JOURNAL_BUDGETS, NO_JOURNAL, Verdict
from benchmarks.journal.costs import FIGURES, FLOOR, Costs
from benchmarks.journal.outside import CALLS, Outside
from benchmarks.journal.samples import Samples
from benchmarks.journal.syncs import NotCounted, Syncs
from benchmarks.report import documents, judged, machine
from benchmarks.table import aligned, number

LABELS = {figure: f"{call}, µs" for figure, call in CALLS.items()}
"""The figures that have a budget."""


@dataclasses.dataclass(frozen=True)
class JournalReport:
    """Everything that was measured of the journal.

    :ivar settings: how it was measured.
    :ivar file_systems: the type of the one at each place.
    :ivar syncs: of every kind, or why nobody counted them.
    """

    settings: Mapping[str, Any]
    file_systems: Mapping[str, str]
    costs: Costs
    syncs: Syncs
    outside: Outside

    def table(self) -> str:
        """What is paid at each place, then the calls outside of operations and their budgets."""
        return "\n\n".join([*map(self._place, self.costs), self._others(), judged(self._judge(), LABELS)])

    def document(self) -> dict[str, Any]:
        """The same for programs, with the median of every round."""
        return {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "machine": machine(),
            "settings": dict(self.settings),
            "places": {
                place: {
                    "file_system": self.file_systems[place],
                    "figures": {
                        name: _summary(samples) | {"of_floor": round(samples.over(figures[FLOOR]), 3)}
                        for name, samples in figures.items()
                    },
                }
                for place, figures in self.costs.items()
            },
            "syncs": {"not_counted": str(self.syncs)} if isinstance(self.syncs, NotCounted) else dict(self.syncs),
            "outside": {
                figure: {name: _summary(samples) for name, samples in guests.items()}
                for figure, guests in self.outside.items()
            },
            "budgets": documents(self._judge()),
        }

    def _place(self, place: str) -> str:
        rows = [[f"journal in {place}: {self.file_systems[place]}", "p50, µs", "p99, µs", "of the first", "syncs"]]
        figures = self.costs[place]
        for name, label in FIGURES.items():
            samples = figures[name]
            cells = map(number, (samples.median, samples.p99, samples.over(figures[FLOOR])))
            rows.append([label, *cells, self._synced(name)])
        note = f"\nsyncs are not counted: {self.syncs}" if isinstance(self.syncs, NotCounted) else ""
        return aligned(rows) + note

    def _synced(self, figure: str) -> str:
        if figure == FLOOR:
            return f"{1:.2f}"
        return "-" if isinstance(self.syncs, NotCounted) else f"{self.syncs[figure]:.2f}"

    def _others(self) -> str:
        rows = [["call outside of operations, µs", "with journal", "without", "quotient"]]
        for figure, call in CALLS.items():
            having, lacking = self.outside[figure][JOURNAL], self.outside[figure][NO_JOURNAL]
            rows.append([call, number(having.median), number(lacking.median), number(having.over(lacking))])
        return aligned(rows)

    def _judge(self) -> list[Verdict]:
        rounds = {
            figure: {name: samples.medians for name, samples in guests.items()}
            for figure, guests in self.outside.items()
        }
        return [budget.judge(rounds[budget.figure]) for budget in JOURNAL_BUDGETS]


def _summary(samples: Samples) -> dict[str, Any]:
    return {
        "p50_us": round(samples.median, 3),
        "p99_us": round(samples.p99, 3),
        "rounds": [round(value, 3) for value in samples.medians],
    }
