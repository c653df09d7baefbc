"""Users, and the one who may do everything."""

from collections.abc import Callable

from guestagent.conformance.datastore import Account
from guestagent.conformance.guest import KEPT, PASSWORD, Guest
from guestagent.conformance.suite import users
from guestagent.conformance.suite.scenarios.scenario import FIRST, SECOND, Arguments, Scenario, does, in_order

NEW = "a new password"


def _users(guest: Guest, *names: str) -> Arguments:
    granted = [KEPT] if guest.supports("create_database") else []
    return {"users": [users.user(name, databases=granted) for name in names]}


def _no_users(guest: Guest) -> None:
    for name in {FIRST, SECOND}.intersection(users.names(guest)):
        users.drop(guest, name)


def _with_users(*names: str) -> Callable[[Guest], None]:
    return in_order(_no_users, lambda guest: guest.do("create_user", _users(guest, *names)))


def _who(guest: Guest) -> Arguments:
    return {"username": FIRST, "hostname": users.host_of(guest, FIRST)}


def _passwords(guest: Guest) -> Arguments:
    """Which users enter with which password."""
    return {
        f"enters.{name}": [enters for enters in (PASSWORD, NEW) if guest.datastore.enters(Account(name, enters))]
        for name in (FIRST, SECOND)
    }


def _revoked(guest: Guest) -> None:
    guest.do("revoke_access", _who(guest), database=KEPT)


_USERS = ("create_user", "list_users", "delete_user")

USERS = [
    Scenario("create users", "create_user", lambda guest: _users(guest, FIRST, SECOND), _no_users, _USERS),
    Scenario(
        "create users, one of whom is there",
        "create_user",
        lambda guest: _users(guest, FIRST, SECOND),
        _with_users(SECOND),
        _USERS,
        fails=True,
    ),
    Scenario(
        "drop a user",
        "delete_user",
        lambda guest: {"user": {"_name": FIRST, "_host": users.host_of(guest, FIRST)}},
        _with_users(FIRST),
        _USERS,
    ),
    Scenario(
        "change passwords",
        "change_passwords",
        lambda guest: {
            "users": [{"name": name, "host": users.host_of(guest, name), "password": NEW} for name in (FIRST, SECOND)]
        },
        _with_users(FIRST, SECOND),
        _USERS,
        ("enters",),
        look=_passwords,
    ),
    Scenario(
        "rename a user",
        "update_attributes",
        lambda guest: {**_who(guest), "user_attrs": {"name": SECOND, "password": NEW}},
        _with_users(FIRST),
        _USERS,
        ("enters",),
        look=_passwords,
    ),
    Scenario(
        "grant access",
        "grant_access",
        lambda guest: {**_who(guest), "databases": [KEPT]},
        in_order(_with_users(FIRST), _revoked),
        (*_USERS, "revoke_access"),
    ),
    Scenario(
        "revoke access",
        "revoke_access",
        lambda guest: {**_who(guest), "database": KEPT},
        _with_users(FIRST),
        _USERS,
    ),
    Scenario("enable root", "enable_root", arrange=does("disable_root"), also=("disable_root",)),
    Scenario(
        "enable root with a password",
        "enable_root_with_password",
        lambda guest: {"root_password": PASSWORD},
        does("disable_root"),
        ("disable_root",),
    ),
    Scenario(
        "disable root",
        "disable_root",
        arrange=does("enable_root_with_password", root_password=PASSWORD),
        also=("enable_root_with_password",),
    ),
]
