"""What an operation and a step cost at each place, beside the least."""

import random
from collections.abc import Mapping, Sequence

from benchmarks.journal.kinds import KINDS, do
from benchmarks.journal.place import Place
from benchmarks.journal.samples import Samples

FLOOR = "floor"
FIGURES = {FLOOR: "4 KiB appended and synced", **{name: kind.label for name, kind in KINDS.items()}}
"""What is measured, in the table's order, with its label."""

Costs = Mapping[str, Mapping[str, Samples]]
"""Microseconds, by the names of the place and of the figure."""


def measure(places: Mapping[str, Place], rounds: int, repeats: int) -> Costs:
    """Measure everything once everywhere, and all that again.

    :param repeats: in every round.
    """
    kinds, order = list(KINDS), random.Random(0)
    costs = {name: {figure: Samples() for figure in FIGURES} for name in places}
    for _ in range(rounds):
        for figures in costs.values():
            for samples in figures.values():
                samples.begin_round()
        for _ in range(repeats):
            # An operation that ends deletes an old one, and must not meet one of the same kind every time.
            order.shuffle(kinds)
            for name, place in places.items():
                _measure_once(place, kinds, costs[name])
    return costs


def _measure_once(place: Place, kinds: Sequence[str], figures: Mapping[str, Samples]) -> None:
    for name in kinds:
        # Before each of them: the disk may be in another mood after the last one.
        figures[FLOOR].add([place.append()])
        figures[name].add(do(place.guest, KINDS[name]))
