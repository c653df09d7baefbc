"""Pages of sorted lists, as the control plane turns them."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from guestagent.contract.errors import InvalidValue

Item = TypeVar("Item")

LONGEST = 1 << 31


class Page(NamedTuple):
    """Which part of a sorted list is asked for.

    :ivar marker: the page starts after it; empty: from the first one.
    :ivar at_marker: it starts at the marker, if that is in the list.
    :ivar limit: the most items of the page.
    """

    marker: str
    at_marker: bool
    limit: int

    @property
    def rows(self) -> int:
        """How many rows to ask for: one more than the page holds tells whether there is a next one."""
        return self.limit + 1


def asked(limit: int | None, marker: str | None, include_marker: bool) -> Page:
    """The page that a call asks for.

    :raises InvalidValue: the limit is negative.
    """
    if limit is not None and limit < 0:
        raise InvalidValue(subject=f"The limit {limit}", problem="it is negative")
    return Page(marker or "", include_marker, min(limit or LONGEST, LONGEST))


def cut(items: list[Item], page: Page, marker_of: Callable[[Item], str]) -> tuple[list[Item], str | None]:
    """The page's items, and the marker of the next page or none when this is the last."""
    if len(items) <= page.limit:
        return items, None
    kept = items[: page.limit]
    return kept, marker_of(kept[-1])
