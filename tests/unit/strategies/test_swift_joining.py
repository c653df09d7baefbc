"""Large objects of Swift: how many lists it takes, what is in them, and what they are called."""

import json
from collections.abc import Sequence

import pytest
from guestagent_swift.joining import Limits, TooManyParts, Verdict, join, listing

from guestagent.storage.base import Part


class Shelf:
    """Keeps lists, as Swift would: by name, and one may be in another."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = {part.name: part for part in parts}
        self.lists: dict[str, Sequence[Part]] = {}

    def keep(self, name: str, parts: Sequence[Part]) -> Part:
        assert all(self.parts[part.name] == part for part in parts)
        self.lists[name] = parts
        self.parts[name] = Part(name, sum(part.size for part in parts), f"of {name}")
        return self.parts[name]

    def read(self, name: str, depth: int = 1) -> list[str]:
        """The names of what is no list, in the order in which a reader gets them; no deeper than Swift goes."""
        assert depth <= 10
        found = []
        for part in self.lists[name]:
            found += self.read(part.name, depth + 1) if part.name in self.lists else [part.name]
        return found

    def delete(self, name: str, most: int) -> None:
        """Delete it with all that is in it, as Swift does: level by level, and not when it is too much for it."""
        waiting, lists = [name], dict(self.lists)
        while waiting:
            assert len(waiting) <= most * 10
            first = waiting.pop(0)
            if first in lists:
                waiting += [part.name for part in lists.pop(first)] + [first]
            else:
                del self.parts[first]


def parts(count: int, longest: str = "id") -> list[Part]:
    return [Part(f"{longest}/{number:08d}", number + 1, f"{number:032x}") for number in range(count)]


def joined(these: Sequence[Part], **limits: int) -> Shelf:
    shelf = Shelf(these)
    whole = join("Joining", "id", these, Limits(**limits), "backups", shelf.keep)
    assert whole.size == sum(part.size for part in these)
    assert shelf.read("id") == [part.name for part in these]
    return shelf


@pytest.mark.parametrize(
    ("count", "lists"),
    [(1, 1), (2, 1), (4, 1), (5, 2), (7, 2), (8, 3), (31, 10), (32, 11), (58, 19), (112, 37)],
)
def test_there_are_as_many_lists_as_it_takes(count: int, lists: int) -> None:
    shelf = joined(parts(count), max_manifest_segments=4)
    assert len(shelf.lists) == lists
    assert max(len(kept) for kept in shelf.lists.values()) <= 4


def test_any_number_of_parts_is_read_in_its_order_until_there_are_too_many() -> None:
    for count in range(1, 4 * 28 + 1):
        joined(parts(count), max_manifest_segments=4)
    with pytest.raises(TooManyParts, match="no 113 parts; make them larger"):
        joined(parts(113), max_manifest_segments=4)


@pytest.mark.parametrize("count", [1, 20, 21, 100, 191, 192, 500, 1000, 1550])
def test_swift_is_able_to_delete_it_with_its_parts(count: int, caplog: pytest.LogCaptureFixture) -> None:
    shelf = joined(parts(count), max_manifest_segments=20)
    shelf.delete("id", 20)
    assert shelf.parts == {}
    assert not caplog.records


def test_what_swift_is_not_able_to_delete_is_joined_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    shelf = joined(parts(2500), max_manifest_segments=20)
    with pytest.raises(AssertionError):
        shelf.delete("id", 20)
    assert "too many parts (2500)" in caplog.text


def test_the_defaults_are_those_of_swift() -> None:
    assert list(joined(parts(1000)).lists) == ["id"]
    assert [len(kept) for kept in joined(parts(1001)).lists.values()] == [2, 1000]
    joined(parts(80_000)).delete("id", 1000)


def test_a_list_is_never_longer_than_swift_reads() -> None:
    these = parts(100, longest="x" * 200)
    shelf = joined(these, max_manifest_size=4096)
    assert len(shelf.lists) > 1
    assert max(len(listing("backups", kept)) for kept in shelf.lists.values()) <= 4096


@pytest.mark.parametrize(
    "limits", [{"max_manifest_segments": 0}, {"max_manifest_segments": 1}, {"max_manifest_size": 1}]
)
def test_limits_that_make_no_sense_do_not_keep_it_busy_for_ever(limits: dict[str, int]) -> None:
    joined(parts(9), **limits)


def test_inner_lists_lie_beside_their_parts_under_names_that_say_what_is_in_them() -> None:
    names = list(joined(parts(20), max_manifest_segments=4).lists)
    assert names.pop() == "id"
    assert all(name.startswith("id/") for name in names)
    assert len(set(names)) == len(names)
    assert list(joined(parts(20), max_manifest_segments=4).lists)[:-1] == names
    # Each one has the next one in it.
    assert not set(names) & set(joined(parts(19), max_manifest_segments=4).lists)


def test_a_list_is_what_swift_reads() -> None:
    text = listing("my logs", [Part('a "b"/ü', 3, "0" * 32), Part("c", 4, "1" * 32)])
    assert json.loads(text) == [
        {"path": '/my logs/a "b"/ü', "etag": "0" * 32, "size_bytes": 3},
        {"path": "/my logs/c", "etag": "1" * 32, "size_bytes": 4},
    ]


@pytest.mark.parametrize(
    ("status", "number"), [("201 Created", 201), ("400 Bad Request", 400), ("", 500), ("Created", 500), ("²01", 500)]
)
def test_a_verdict_has_the_status_that_was_not_known_before(status: str, number: int) -> None:
    assert Verdict(status).number == number


def test_a_verdict_says_what_is_wrong() -> None:
    assert Verdict("400", "Bad Request", [["/c/a", "404 Not Found"], ["/c/b", "Etag Mismatch"]]).words == (
        "/c/a 404 Not Found; /c/b Etag Mismatch"
    )
    assert Verdict("400", "Bad Request").words == "Bad Request"
