"""Users: created, seen by logging in, changed, listed and dropped."""

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from guestagent.conformance.claims import claims, given
from guestagent.conformance.datastore import Account
from guestagent.conformance.guest import KEEPER, KEPT, PASSWORD, Guest


def user(name: str, password: str | None = PASSWORD, databases: list[str] | None = None) -> dict[str, Any]:
    """A user as it travels."""
    return {"_name": name, "_password": password, "_databases": [{"_name": database} for database in databases or []]}


def listed(guest: Guest) -> list[dict[str, Any]]:
    """All users."""
    page, marker = guest.do("list_users")
    assert marker is None
    return list(page)


def names(guest: Guest) -> list[str]:
    """The names of all users."""
    return [found["_name"] for found in listed(guest)]


def host_of(guest: Guest, name: str) -> str | None:
    """Where a user may come from, in the datastore's own words; none: users have no host, or there is no such user."""
    return next((found["_host"] for found in listed(guest) if found["_name"] == name), None)


def drop(guest: Guest, name: str) -> None:
    """Drop a user."""
    guest.do("delete_user", user={"_name": name, "_host": host_of(guest, name)})


@contextlib.contextmanager
def dropped_afterwards(guest: Guest, name: str) -> Iterator[None]:
    """The user goes with the block, however it ends."""
    try:
        yield
    finally:
        drop(guest, name)


@claims("create_user", "list_users", "get_user", "delete_user")
@given("enters")
class TestUsers:
    """What the contract says of them, seen by logging in."""

    @pytest.fixture
    def somebody(self, guest: Guest) -> Iterator[str]:
        name = f"u{uuid.uuid4().hex[:8]}"
        guest.do("create_user", users=[user(name)])
        yield name
        if name in names(guest):
            drop(guest, name)

    def enters(self, guest: Guest, name: str, password: str = PASSWORD) -> bool:
        # Without a database: nothing has been granted there.
        return guest.datastore.enters(Account(name, password))

    def test_the_one_that_prepare_was_given_enters(self, guest: Guest) -> None:
        assert names(guest) == [KEEPER]
        assert guest.datastore.enters(guest.account)

    def test_one_enters_until_it_is_dropped(self, guest: Guest, somebody: str) -> None:
        assert self.enters(guest, somebody)
        assert not self.enters(guest, somebody, "wrong")
        assert somebody in names(guest)
        drop(guest, somebody)
        assert not self.enters(guest, somebody)
        assert somebody not in names(guest)

    def test_nobody_enters_without_a_password(self, guest: Guest, somebody: str) -> None:
        assert not self.enters(guest, somebody, "")
        assert not self.enters(guest, "nobody", "")

    @pytest.mark.parametrize("password", [None, ""])
    def test_nobody_is_made_without_a_password(self, guest: Guest, password: str | None) -> None:
        assert guest.refusal("create_user", users=[user("open", password)]).kind == "InvalidValue"
        assert "open" not in names(guest)

    def test_what_is_told_of_one_holds_no_password(self, guest: Guest, somebody: str) -> None:
        found = guest.do("get_user", username=somebody, hostname=host_of(guest, somebody))
        assert found["_name"] == somebody
        assert found["_password"] is None
        assert all(one["_password"] is None for one in listed(guest))

    def test_nobody_is_found_who_is_not_there(self, guest: Guest) -> None:
        assert guest.do("get_user", username="nobody", hostname=None) is None
        assert guest.refusal("delete_user", user={"_name": "nobody"}).kind == "NotFound"

    def test_one_that_exists_is_left_alone(self, guest: Guest, somebody: str) -> None:
        assert guest.refusal("create_user", users=[user(somebody, "another")]).kind == "AlreadyExists"
        assert self.enters(guest, somebody)

    def test_a_list_is_created_up_to_the_one_that_fails(self, guest: Guest, somebody: str) -> None:
        wanted = [user(name) for name in ("list1", somebody, "list2")]
        with dropped_afterwards(guest, "list1"):
            assert guest.refusal("create_user", users=wanted).kind == "AlreadyExists"
            assert "list1" in names(guest)
            assert "list2" not in names(guest)

    @claims("change_passwords")
    def test_a_new_password_replaces_the_old_one(self, guest: Guest, somebody: str) -> None:
        change = {"name": somebody, "password": "n'ew", "host": host_of(guest, somebody)}
        for _ in range(2):
            guest.do("change_passwords", users=[change])
        assert self.enters(guest, somebody, "n'ew")
        assert not self.enters(guest, somebody)

    @claims("change_passwords")
    def test_all_passwords_change_or_none(self, guest: Guest, somebody: str) -> None:
        changes = [{"name": name, "password": "new", "host": host_of(guest, name)} for name in (somebody, "nobody")]
        assert guest.refusal("change_passwords", users=changes).kind == "NotFound"
        changes[1] = {"name": KEEPER, "password": "", "host": host_of(guest, KEEPER)}
        assert guest.refusal("change_passwords", users=changes).kind == "InvalidValue"
        assert self.enters(guest, somebody)

    @claims("update_attributes")
    def test_one_gets_another_name_and_password(self, guest: Guest, somebody: str) -> None:
        attributes = {"name": f"{somebody}x", "password": "new"}
        host = host_of(guest, somebody)
        guest.do("update_attributes", username=somebody, hostname=host, user_attrs=attributes)
        assert self.enters(guest, f"{somebody}x", "new")
        assert not self.enters(guest, somebody)
        drop(guest, f"{somebody}x")

    @claims("update_attributes")
    def test_one_attribute_leaves_the_others(self, guest: Guest, somebody: str) -> None:
        host = host_of(guest, somebody)
        renamed = f"{somebody}x"
        guest.do("update_attributes", username=somebody, hostname=host, user_attrs={"name": renamed})
        assert self.enters(guest, renamed)
        for attributes in ({"password": "new"}, {}):
            guest.do("update_attributes", username=renamed, hostname=host, user_attrs=attributes)
            assert self.enters(guest, renamed, "new")
        drop(guest, renamed)

    @claims("update_attributes")
    @pytest.mark.parametrize(
        ("attributes", "kind"),
        [
            ({"name": KEEPER, "password": "new"}, "AlreadyExists"),
            ({"name": "nul\0", "password": "new"}, "InvalidValue"),
            ({"password": ""}, "InvalidValue"),
        ],
    )
    def test_a_change_that_cannot_be_changes_nothing(
        self, guest: Guest, somebody: str, attributes: dict[str, str], kind: str
    ) -> None:
        who = {"username": somebody, "hostname": host_of(guest, somebody)}
        assert guest.refusal("update_attributes", who, user_attrs=attributes).kind == kind
        assert self.enters(guest, somebody)
        assert somebody in names(guest)

    @claims("update_attributes")
    def test_nobody_cannot_be_changed(self, guest: Guest) -> None:
        arguments = {"username": "nobody", "hostname": None, "user_attrs": {"password": "new"}}
        assert guest.refusal("update_attributes", arguments).kind == "NotFound"

    @claims("grant_access", "revoke_access", "list_access", "create_database")
    def test_access_is_granted_and_taken(self, guest: Guest, somebody: str) -> None:
        who = {"username": somebody, "hostname": host_of(guest, somebody)}
        account = guest.user(somebody)
        assert not guest.datastore.enters(account)
        for _ in range(2):
            guest.do("grant_access", who, databases=[KEPT])
        assert guest.datastore.enters(account)
        assert [database["_name"] for database in guest.do("list_access", who)] == [KEPT]
        guest.do("revoke_access", who, database=KEPT)
        assert not guest.datastore.enters(account)
        assert guest.do("list_access", who) == []
        assert guest.refusal("revoke_access", who, database=KEPT).kind == "NotFound"

    @claims("update_attributes", "grant_access", "list_access", "create_database")
    def test_a_changed_one_keeps_its_access(self, guest: Guest, somebody: str) -> None:
        who = {"username": somebody, "hostname": host_of(guest, somebody)}
        renamed = f"{somebody}x"
        guest.do("grant_access", who, databases=[KEPT])
        guest.do("update_attributes", who, user_attrs={"name": renamed, "password": "new"})
        with dropped_afterwards(guest, renamed):
            assert guest.datastore.enters(guest.user(renamed, "new"))
            found = guest.do("get_user", username=renamed, hostname=host_of(guest, renamed))
            assert [database["_name"] for database in found["_databases"]] == [KEPT]

    @claims("grant_access")
    def test_what_is_not_there_cannot_be_granted(self, guest: Guest, somebody: str) -> None:
        who = {"username": somebody, "hostname": host_of(guest, somebody)}
        for wanted in (["nowhere"], [KEPT, "nowhere"]):
            assert guest.refusal("grant_access", who, databases=wanted).kind == "NotFound"
            assert not guest.datastore.enters(guest.user(somebody))
        nobody = {"username": "nobody", "hostname": None}
        assert guest.refusal("grant_access", nobody, databases=[KEPT]).kind == "NotFound"

    def test_one_page_follows_the_other(self, guest: Guest) -> None:
        wanted = ["pageA", "pageB", "pagea"]
        guest.do("create_user", users=[user(name) for name in reversed(wanted)])
        found: list[str] = []
        marker: str | None = "page"
        while marker:
            page, marker = guest.do("list_users", limit=2, marker=marker)
            assert len(page) <= 2
            found += [one["_name"] for one in page]
        for name in wanted:
            drop(guest, name)
        assert [name for name in found if name.startswith("page")] == wanted
