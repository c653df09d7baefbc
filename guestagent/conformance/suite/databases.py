"""Databases: created, listed page by page, and dropped."""

from collections.abc import Iterator, Sequence

import pytest

from guestagent.conformance.claims import claims
from guestagent.conformance.guest import KEPT, Guest


def names(guest: Guest) -> list[str]:
    """All databases."""
    page, marker = guest.do("list_databases")
    assert marker is None
    return [database["_name"] for database in page]


@claims("create_database", "list_databases", "delete_database")
class TestDatabases:
    """What the contract says of them, whatever the datastore."""

    def test_what_prepare_was_given_is_there_and_nothing_else_is_shown(self, guest: Guest) -> None:
        assert names(guest) == [KEPT]

    def test_one_comes_and_goes(self, guest: Guest) -> None:
        before = names(guest)
        guest.do("create_database", databases=[{"_name": "brief"}])
        assert names(guest) == sorted([*before, "brief"])
        guest.do("delete_database", database={"_name": "brief"})
        assert names(guest) == before

    def test_one_that_exists_is_left_alone(self, guest: Guest) -> None:
        before = names(guest)
        assert guest.refusal("create_database", databases=[{"_name": KEPT}]).kind == "AlreadyExists"
        assert names(guest) == before

    def test_one_that_is_not_there_cannot_be_dropped(self, guest: Guest) -> None:
        assert guest.refusal("delete_database", database={"_name": "never"}).kind == "NotFound"

    def test_a_list_is_created_up_to_the_one_that_fails(self, guest: Guest) -> None:
        wanted = [{"_name": name} for name in ("list1", KEPT, "list2")]
        assert guest.refusal("create_database", databases=wanted).kind == "AlreadyExists"
        found = names(guest)
        guest.do("delete_database", database={"_name": "list1"})
        assert "list2" not in found

    class TestPages:
        """The pages of the list; the names sort as bytes, whatever the server's collation says."""

        NAMES = ("page_A", "page_B", "page_a", "page_b")
        BEYOND = "page_é"
        """Not every server takes it."""

        @pytest.fixture(autouse=True, scope="class")
        @classmethod
        def made(cls, guest: Guest) -> Iterator[Sequence[str]]:
            refused = guest.attempt("create_database", databases=[{"_name": cls.BEYOND}])
            guest.do("create_database", databases=[{"_name": name} for name in reversed(cls.NAMES)])
            wanted = cls.NAMES if refused else (*cls.NAMES, cls.BEYOND)
            yield wanted
            for name in wanted:
                guest.do("delete_database", database={"_name": name})

        def page(self, guest: Guest, **asked: object) -> tuple[list[str], str | None]:
            found, marker = guest.do("list_databases", asked)
            return [database["_name"] for database in found], marker

        def test_one_page_follows_the_other(self, guest: Guest, made: Sequence[str]) -> None:
            found: list[str] = []
            marker: str | None = "page_"
            while marker:
                page, marker = self.page(guest, limit=3, marker=marker)
                assert len(page) <= 3
                found += page
            assert tuple(name for name in found if name.startswith("page_")) == made

        def test_the_marker_is_on_the_page_when_that_is_asked(self, guest: Guest) -> None:
            asked = {"limit": 1, "marker": "page_B"}
            assert self.page(guest, **asked, include_marker=True)[0] == ["page_B"]
            assert self.page(guest, **asked, include_marker=False)[0] == ["page_a"]

        def test_a_marker_need_not_be_there(self, guest: Guest) -> None:
            assert self.page(guest, limit=1, marker="page_AA", include_marker=True) == (["page_B"], "page_B")

        def test_the_last_page_has_no_next_one(self, guest: Guest) -> None:
            everything = names(guest)
            assert self.page(guest, limit=len(everything)) == (everything, None)
            assert self.page(guest, limit=0) == (everything, None)
