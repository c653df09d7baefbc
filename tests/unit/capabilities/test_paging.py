"""Pages: which rows to ask for, and which of them to give."""

import pytest

from guestagent.capabilities import paging
from guestagent.contract.errors import InvalidValue


@pytest.mark.parametrize("limit", [None, 0])
def test_no_limit_is_everything(limit: int | None) -> None:
    items = list(map(str, range(1000)))
    assert paging.cut(items, paging.asked(limit, None, False), str) == (items, None)


def test_one_row_more_tells_of_a_next_page() -> None:
    page = paging.asked(2, "a", False)
    assert page.rows == 3
    assert paging.cut(["b", "c"], page, str) == (["b", "c"], None)
    assert paging.cut(["b", "c", "d"], page, str) == (["b", "c"], "c")


def test_a_limit_that_the_server_cannot_count_is_as_good_as_none() -> None:
    assert paging.asked(10**30, None, False).rows < 1 << 63


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(InvalidValue):
        paging.asked(-1, None, False)
