"""What was measured again and again, in rounds."""

import pytest

from benchmarks.journal.samples import Samples


def samples(*rounds: list[float]) -> Samples:
    made = Samples()
    for values in rounds:
        made.begin_round()
        made.add(values)
    return made


def test_the_median_is_that_of_all_values_and_of_every_round():
    measured = samples([1.0, 2.0, 30.0], [3.0])

    assert measured.median == 2.5
    assert measured.medians == [2.0, 3.0]


def test_no_percentile_is_beyond_what_was_measured():
    assert samples([float(value) for value in range(101)]).p99 == 99
    assert samples([1.0, 2.0]).p99 <= 2


def test_a_quotient_is_taken_in_every_round_so_that_a_slow_one_counts_on_both_sides():
    assert samples([2.0], [20.0], [3.0]).over(samples([1.0], [10.0], [1.0])) == pytest.approx(2)
