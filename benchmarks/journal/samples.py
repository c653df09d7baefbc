"""What was measured again and again, in rounds."""

import statistics
from collections.abc import Iterable


class Samples:
    """The values of one figure."""

    def __init__(self) -> None:
        self._rounds: list[list[float]] = []

    def begin_round(self) -> None:
        """What is added from now on was measured in another round."""
        self._rounds.append([])

    def add(self, values: Iterable[float]) -> None:
        """Add values to the round that was begun last."""
        self._rounds[-1] += values

    @property
    def medians(self) -> list[float]:
        """That of every round."""
        return [statistics.median(values) for values in self._rounds]

    @property
    def median(self) -> float:
        """Of all values."""
        return statistics.median(value for values in self._rounds for value in values)

    @property
    def p99(self) -> float:
        """The 99th percentile of all values."""
        values = [value for values in self._rounds for value in values]
        return statistics.quantiles(values, n=100, method="inclusive")[98]

    def over(self, other: "Samples") -> float:
        """How many times the other it is: the median of the rounds' quotients."""
        return statistics.median(mine / its for mine, its in zip(self.medians, other.medians, strict=True))
