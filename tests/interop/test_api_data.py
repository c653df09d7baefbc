"""Databases, users and root through Trove's own client."""

import pytest

from guestagent.conformance.poll import eventually
from tests.interop.exercised import exercises
from tests.interop.guest import Guest, unique

PASSWORD = "Wee/sleekit 1"
OTHER = 'cowrin\' "timorous" \\ beastie'


def names(guest: Guest, kind: str, **page: object) -> list[str]:
    """The names of the databases or users on a page."""
    items, _ = guest.client.call(f"list_{kind}", **page)
    return [item["_name"] for item in items]


def create_databases(guest: Guest, *wanted: str) -> None:
    guest.client.call("create_database", databases=[{"_name": name} for name in wanted])
    eventually(lambda: set(wanted) <= set(names(guest, "databases")))


def create_user(guest: Guest, name: str, host: str = "%", databases: tuple[str, ...] = ()) -> None:
    granted = [{"_name": database} for database in databases]
    guest.client.call(
        "create_user", users=[{"_name": name, "_host": host, "_password": PASSWORD, "_databases": granted}]
    )
    eventually(lambda: guest.client.call("get_user", username=name, hostname=host))


@exercises("create_database", "list_databases", "delete_database")
def test_databases(guest: Guest) -> None:
    name = unique("database")
    sent = {"_name": name, "_character_set": "utf8mb4", "_collate": "utf8mb4_bin"}
    guest.client.call("create_database", databases=[sent])
    page, _ = eventually(lambda: found(guest, name))
    assert page == [sent]
    assert guest.control_plane.do("verified", kind="database", value=page[0]) == sent
    guest.client.call("delete_database", database={"_name": name, "_character_set": None, "_collate": None})
    eventually(lambda: name not in names(guest, "databases"))


def found(guest: Guest, name: str) -> object:
    """What the API asks before it creates or deletes a database, once that is there."""
    page, marker = guest.client.call("list_databases", limit=1, marker=name, include_marker=True)
    return (page, marker) if page and page[0]["_name"] == name else None


@exercises("list_databases")
def test_pages_of_databases(guest: Guest) -> None:
    first, second, third = sorted(unique("database") for _ in range(3))
    create_databases(guest, third, first, second)
    everything = names(guest, "databases")
    assert everything == sorted(everything)
    page, marker = guest.client.call("list_databases", limit=2, marker=first, include_marker=True)
    assert [item["_name"] for item in page] == everything[everything.index(first) :][:2]
    assert marker in (None, page[-1]["_name"])
    assert first not in names(guest, "databases", limit=100, marker=first, include_marker=False)
    seen, marker = [], None
    while not seen or marker:
        page, marker = guest.client.call("list_databases", limit=1, marker=marker, include_marker=False)
        seen += [item["_name"] for item in page]
    assert seen == everything
    assert guest.client.call("list_databases", limit=1, marker=f"{third}~", include_marker=True)[0] != [third]


@exercises("create_user", "list_users", "get_user", "list_access", "delete_user")
def test_users(guest: Guest) -> None:
    name, database = unique("user"), unique("database")
    create_databases(guest, database)
    create_user(guest, name, databases=(database,))
    told = guest.client.call("get_user", username=name, hostname="%")
    assert (told["_name"], told["_host"], told["_password"]) == (name, "%", None)
    assert [item["_name"] for item in told["_databases"]] == [database]
    assert [item["_name"] for item in guest.client.call("list_access", username=name, hostname="%")] == [database]
    [listed], _ = guest.client.call("list_users", limit=1, marker=f"{name}@%", include_marker=True)
    assert listed == told
    assert guest.control_plane.do("verified", kind="user", value=told) == told
    assert guest.lets_in(name, PASSWORD)
    guest.client.call("delete_user", user={"_name": name, "_host": "%", "_password": None, "_databases": []})
    eventually(lambda: guest.client.call("get_user", username=name, hostname="%") is None)
    assert not guest.lets_in(name, PASSWORD)


@exercises("list_users")
def test_pages_of_users(guest: Guest) -> None:
    name = unique("user")
    hosts = ["%", "10.0.0.%", "192.0.2.7"]
    for host in hosts:
        create_user(guest, name, host)
    page, marker = guest.client.call("list_users", limit=2, marker=f"{name}@%", include_marker=True)
    assert [(user["_name"], user["_host"]) for user in page] == [(name, "%"), (name, "10.0.0.%")]
    assert marker == f"{name}@10.0.0.%"
    page, _ = guest.client.call("list_users", limit=1, marker=marker, include_marker=False)
    assert [(user["_name"], user["_host"]) for user in page] == [(name, "192.0.2.7")]


@exercises("grant_access", "revoke_access", "list_access")
def test_access(guest: Guest) -> None:
    name, first, second = unique("user"), *sorted(unique("database") for _ in range(2))
    create_databases(guest, first, second)
    create_user(guest, name)
    assert guest.client.call("list_access", username=name, hostname="%") == []
    assert guest.client.call("grant_access", username=name, hostname="%", databases=[first, second]) is None
    access = guest.client.call("list_access", username=name, hostname="%")
    assert [item["_name"] for item in access] == [first, second]
    assert set(access[0]) == {"_name", "_character_set", "_collate"}
    assert guest.client.call("revoke_access", username=name, hostname="%", database=first) is None
    access = guest.client.call("list_access", username=name, hostname="%")
    assert [item["_name"] for item in access] == [second]


@exercises("change_passwords", "update_attributes")
def test_changes_of_users(guest: Guest) -> None:
    name, renamed = unique("user"), unique("renamed")
    create_user(guest, name)
    guest.client.call("change_passwords", users=[{"name": name, "host": "%", "password": OTHER}])
    eventually(lambda: guest.lets_in(name, OTHER))
    assert not guest.lets_in(name, PASSWORD)
    changes = {"name": renamed, "password": PASSWORD, "host": "127.0.0.1"}
    guest.client.call("update_attributes", username=name, hostname="%", user_attrs=changes)
    eventually(lambda: guest.client.call("get_user", username=renamed, hostname="127.0.0.1"))
    assert guest.client.call("get_user", username=name, hostname="%") is None
    assert guest.lets_in(renamed, PASSWORD)


@exercises("enable_root", "enable_root_with_password", "is_root_enabled", "disable_root")
def test_root(guest: Guest) -> None:
    given = guest.client.call("enable_root_with_password", root_password=OTHER)
    assert (given["_name"], given["_password"], given["_is_root"]) == ("root", OTHER, True)
    assert guest.lets_in("root", OTHER)
    generated = guest.client.call("enable_root")["_password"]
    assert not guest.lets_in("root", OTHER)
    assert guest.lets_in("root", generated)
    assert guest.client.call("is_root_enabled") is True
    assert guest.client.call("disable_root") is None
    assert guest.client.call("is_root_enabled") is False
    assert not guest.lets_in("root", generated)


@exercises("enable_root_with_password")
@pytest.mark.parametrize("password", [None, ""])
def test_root_without_a_password_gets_one(guest: Guest, password: str | None) -> None:
    generated = guest.client.call("enable_root_with_password", root_password=password)["_password"]
    assert guest.lets_in("root", generated)
    guest.client.call("disable_root")
