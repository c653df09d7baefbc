"""Everyone has every place equally often, and follows everyone else equally often."""

import itertools
from collections import Counter

import pytest

from benchmarks.backup.orders import orders

NAMES = "abcdef"


@pytest.mark.parametrize("count", range(2, len(NAMES) + 1))
def test_nobody_is_favoured(count: int):
    found = orders(NAMES[:count])

    assert all(sorted(order) == list(NAMES[:count]) for order in found)
    for place in range(count):
        assert len(set(Counter(order[place] for order in found).values())) == 1
    follows = Counter(pair for order in found for pair in itertools.pairwise(order))
    assert len(follows) == count * (count - 1)
    assert len(set(follows.values())) == 1


def test_three_have_all_orders():
    assert len({tuple(order) for order in orders("abc")}) == 6
