"""Figures as text in columns."""

import pytest

from benchmarks.table import aligned, number


def test_the_first_column_is_aligned_to_the_left_and_the_others_to_the_right():
    assert aligned([["", "long"], ["name", "1"]]) == "      long\nname     1"


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (2.0, "2"), (0.1234, "0.123"), (12.34, "12.3"), (123.4, "123"), (650.0, "650")]
)
def test_a_number_has_as_many_digits_as_can_mean_something(value: float, text: str):
    assert number(value) == text
