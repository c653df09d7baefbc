"""Users and root of a real server, tried by logging in."""

from typing import Any

import pytest
from guestagent_redis.manager import RedisManager
from guestagent_redis.resp import Refused

from guestagent.contract.databases import Database
from guestagent.contract.errors import AlreadyExists, InvalidValue, NotFound, NotSupported
from guestagent.contract.users import PasswordChange, User, UserAttributes
from tests.functional.redis.machine import Machine
from tests.support.machine import CONTEXT, PASSWORD, user

NAMES = ["plain", "o'brien", 'quo"te', "Zoë", "数据库", "a@b.example", "-off", "#hash", "~*", "(x", "x" * 128]


@pytest.fixture(autouse=True)
def empty(manager: RedisManager) -> None:
    """Every test begins without users."""
    for one in manager.list_users(CONTEXT)[0]:
        manager.delete_user(CONTEXT, one)


def names(manager: RedisManager) -> list[str]:
    return [one.name for one in manager.list_users(CONTEXT)[0]]


class TestCreate:
    """What a new user is, and who cannot be one."""

    @pytest.mark.parametrize("name", NAMES)
    def test_a_user_enters_also_after_a_restart(self, guest: Machine, manager: RedisManager, name: str) -> None:
        manager.create_user(CONTEXT, [user(name, "p\"a'ss #1 Ü")])
        assert manager.get_user(CONTEXT, name) == User(name, "%")
        assert guest.enters(name, "p\"a'ss #1 Ü")
        assert not guest.enters(name, "wrong")
        if name in NAMES[:3]:
            manager.restart(CONTEXT)
            assert guest.enters(name, "p\"a'ss #1 Ü")

    def test_it_does_everything_with_data_and_nothing_with_the_server(
        self, guest: Machine, manager: RedisManager
    ) -> None:
        manager.create_user(CONTEXT, [user("app")])
        with guest.client("app", PASSWORD) as client:
            for words in (("SET", "k", "1"), ("KEYS", "*"), ("INFO",), ("CONFIG", "GET", "hz"), ("FLUSHALL",)):
                client(*words)
            for words in (
                ("CONFIG", "SET", "hz", "11"),
                ("CONFIG", "REWRITE"),
                ("ACL", "LIST"),
                ("SHUTDOWN",),
                ("BGSAVE",),
                ("DEBUG", "SLEEP", "0"),
                ("REPLICAOF", "NO", "ONE"),
                ("MONITOR",),
                ("CLIENT", "KILL", "USER", "guestagent"),
                ("MODULE", "LIST"),
            ):
                with pytest.raises(Refused, match=r"NOPERM|not allowed"):
                    client(*words)

    @pytest.mark.parametrize("name", ["", "a b", "tab\t", "line\nend", "nul\0", "\u2028", "x" * 129])
    def test_a_name_that_cannot_be(self, manager: RedisManager, name: str) -> None:
        with pytest.raises(InvalidValue):
            manager.create_user(CONTEXT, [user(name)])
        assert names(manager) == []

    @pytest.mark.parametrize("name", ["default", "guestagent"])
    def test_a_name_that_is_somebody_elses(self, guest: Machine, manager: RedisManager, name: str) -> None:
        with pytest.raises(InvalidValue, match="reserved"):
            manager.create_user(CONTEXT, [user(name)])
        with pytest.raises(NotFound):
            manager.delete_user(CONTEXT, User(name))
        with pytest.raises(NotFound):
            manager.change_passwords(CONTEXT, [PasswordChange(name, "new")])
        assert manager.get_user(CONTEXT, name) is None
        assert manager.answers()

    @pytest.mark.parametrize("password", [None, "", "nul\0", "\ud800"])
    def test_a_password_that_cannot_be(self, manager: RedisManager, password: str | None) -> None:
        with pytest.raises(InvalidValue):
            manager.create_user(CONTEXT, [User("app", password=password)])
        assert names(manager) == []

    def test_what_cannot_be_mapped_is_refused_and_said(self, manager: RedisManager) -> None:
        with pytest.raises(InvalidValue, match="no databases"):
            manager.create_user(CONTEXT, [User("app", None, PASSWORD, [Database("shop")])])
        with pytest.raises(InvalidValue, match="hosts"):
            manager.create_user(CONTEXT, [user("app", host="192.0.2.1")])
        for refused in (
            lambda: manager.grant_access(CONTEXT, "app", None, ["shop"]),
            lambda: manager.list_access(CONTEXT, "app"),
            lambda: manager.list_databases(CONTEXT),
        ):
            with pytest.raises(NotSupported):
                refused()
        assert names(manager) == []


class TestList:
    """Pages of users."""

    @pytest.fixture(autouse=True)
    def some(self, empty: None, manager: RedisManager) -> None:
        manager.create_user(CONTEXT, [user(name) for name in ("bob", "alice", "Zed", "Zoë")])

    @pytest.mark.parametrize(
        ("asked", "found", "marker"),
        [
            ({}, ["Zed", "Zoë", "alice", "bob"], None),
            ({"limit": 2}, ["Zed", "Zoë"], "Zoë"),
            ({"limit": 2, "marker": "Zoë"}, ["alice", "bob"], None),
            ({"limit": 1, "marker": "alice", "include_marker": True}, ["alice"], "alice"),
            ({"limit": 1, "marker": "alice@%", "include_marker": True}, ["alice"], "alice"),
            ({"limit": 1, "marker": "aaron@%", "include_marker": True}, ["alice"], "alice"),
            ({"marker": "bob"}, [], None),
        ],
    )
    def test_pages(self, manager: RedisManager, asked: dict[str, Any], found: list[str], marker: str | None) -> None:
        page, next_marker = manager.list_users(CONTEXT, **asked)
        assert ([one.name for one in page], next_marker) == (found, marker)


class TestChange:
    """Existing users."""

    @pytest.fixture(autouse=True)
    def app(self, empty: None, manager: RedisManager) -> None:
        manager.create_user(CONTEXT, [user("app")])

    def test_passwords(self, guest: Machine, manager: RedisManager) -> None:
        manager.create_user(CONTEXT, [user("other")])
        with pytest.raises(NotFound):
            manager.change_passwords(CONTEXT, [PasswordChange("app", "new"), PasswordChange("nobody", "new")])
        assert guest.enters("app", PASSWORD)
        manager.change_passwords(CONTEXT, [PasswordChange("app", "n'ew"), PasswordChange("other", "2", "%")])
        for name, password in (("app", "n'ew"), ("other", "2")):
            assert guest.enters(name, password)
            assert not guest.enters(name, PASSWORD)
        manager.restart(CONTEXT)
        assert guest.enters("app", "n'ew")

    def test_a_name_takes_everything_else_with_it(self, guest: Machine, manager: RedisManager) -> None:
        manager.client.ask("Narrowing", "ACL", "SETUSER", "app", "resetkeys", "~mine:*")
        manager.update_attributes(CONTEXT, "app", "%", UserAttributes(name="renamed"))
        assert names(manager) == ["renamed"]
        assert guest.ask("renamed", PASSWORD, "SET", "mine:1", "1") == "OK"
        with pytest.raises(Refused, match="NOPERM"):
            guest.ask("renamed", PASSWORD, "SET", "yours:1", "1")
        manager.update_attributes(CONTEXT, "renamed", None, UserAttributes(name="app", password="both"))
        assert guest.enters("app", "both")
        assert not guest.enters("renamed", PASSWORD)
        manager.restart(CONTEXT)
        assert names(manager) == ["app"]

    def test_what_cannot_be_changed(self, guest: Machine, manager: RedisManager) -> None:
        manager.create_user(CONTEXT, [user("taken")])
        for error, name, wanted in (
            (AlreadyExists, "app", UserAttributes(name="taken")),
            (InvalidValue, "app", UserAttributes(name="default")),
            (InvalidValue, "app", UserAttributes(host="192.0.2.1")),
            (InvalidValue, "app", UserAttributes(password="")),
            (NotFound, "nobody", UserAttributes(name="somebody")),
        ):
            with pytest.raises(error):
                manager.update_attributes(CONTEXT, name, None, wanted)
        assert names(manager) == ["app", "taken"]
        assert guest.enters("app", PASSWORD)

    def test_a_user_that_is_dropped_is_out_at_once(self, guest: Machine, manager: RedisManager) -> None:
        with guest.client("app", PASSWORD) as client:
            manager.delete_user(CONTEXT, User("app"))
            with pytest.raises((Refused, OSError)):
                client("PING")
        assert not guest.enters("app", PASSWORD)
        with pytest.raises(NotFound):
            manager.delete_user(CONTEXT, User("app"))
        assert manager.get_user(CONTEXT, "app") is None
        manager.restart(CONTEXT)
        assert not guest.enters("app", PASSWORD)


class TestRoot:
    """The user of a password without a name."""

    def test_it_is_let_in_and_locked_out(self, guest: Machine, manager: RedisManager) -> None:
        assert manager.is_root_enabled(CONTEXT) is False
        first = manager.enable_root(CONTEXT)
        assert (first.name, first.is_root) == ("default", True)
        with guest.client("", first.password or "") as client:
            assert client("ACL", "WHOAMI") == "default"
            assert client("CONFIG", "SET", "hz", "11") == "OK"
            second = manager.enable_root_with_password(CONTEXT, "from the user")
            assert second.password == "from the user"
            assert not guest.enters("", first.password or "")
            assert guest.enters("", "from the user")
            manager.restart(CONTEXT)
            assert guest.enters("default", "from the user")
            assert manager.is_root_enabled(CONTEXT)
        with guest.client("", "from the user") as client:
            for _ in range(2):
                manager.disable_root(CONTEXT)
            with pytest.raises(OSError, match="closed"):
                client("PING")
        assert not guest.enters("", "from the user")
        manager.restart(CONTEXT)
        assert not guest.enters("", "from the user")
        assert manager.is_root_enabled(CONTEXT) is False

    def test_it_is_no_user_among_others(self, manager: RedisManager) -> None:
        manager.enable_root(CONTEXT)
        assert names(manager) == []
        manager.disable_root(CONTEXT)

    def test_an_agent_that_it_shut_out_comes_back_with_a_restart(self, guest: Machine, manager: RedisManager) -> None:
        root = manager.enable_root(CONTEXT).password or ""
        guest.ask("", root, "ACL", "DELUSER", "guestagent")
        assert not guest.manager().answers()
        guest.manager().restart(CONTEXT)
        assert guest.manager().answers()
        manager.disable_root(CONTEXT)
