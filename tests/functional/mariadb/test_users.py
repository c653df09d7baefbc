"""Users of a real server: names, hosts, passwords and grants, tried by logging in."""

import pytest
from guestagent_mariadb.manager import MariaDBManager

from guestagent.contract.databases import Database
from guestagent.contract.errors import AlreadyExists, InvalidValue, NotFound
from guestagent.contract.users import PasswordChange, User, UserAttributes
from tests.functional.mariadb.machine import Machine
from tests.support.machine import CONTEXT, PASSWORD, user

ACCESS_DENIED = (1044, 1045)

HOSTILE = [
    "it's",
    'say "hi"',
    "back`tick",
    "'@'%' IDENTIFIED BY ''; DROP USER root; --",
    "per%cent",
    "under_score",
    "back\\slash",
    "%s",
    "a@b",
    "用户",
    "пользователь",
    "PUBLIC",
    "x" * 65,
    "x" * 128,
]
REFUSED = ["", "x" * 129, "nul\0", "new\nline", "root ", " lead", "😀", "\ud800"]
RESERVED = ["root", "ROOT", "guestagent", "mariadb.sys", "mysql"]
HOSTS = ["%", "127.0.0.1", "10.0.0.%", "10.0.0.0/255.0.0.0", "::1", "Db.Example.COM", "10._._.1"]
NO_HOSTS = ["localhost", "LOCALHOST", "a'b", "a b", "a\nb", "x" * 256, "'; --", "ho`st", "хост", "a@b"]


def names(manager: MariaDBManager) -> list[str]:
    return [f"{one.name}@{one.host}" for one in manager.list_users(CONTEXT)[0]]


def databases_seen_by(guest: Machine, name: str, password: str = PASSWORD) -> set[str]:
    seen = guest.ask(name, password, "SHOW DATABASES")
    return {database for (database,) in seen} - {"information_schema"}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_a_name_whatever_it_looks_like(guest: Machine, manager: MariaDBManager, name: str) -> None:
    before = names(manager)

    manager.create_user(CONTEXT, [user(name)])
    assert guest.ask(name, PASSWORD, "SELECT CURRENT_USER()") == ((f"{name}@%",),)
    assert manager.get_user(CONTEXT, name, "%") == User(name, "%")
    assert set(names(manager)) - set(before) == {f"{name}@%"}

    manager.delete_user(CONTEXT, User(name, "%"))
    assert manager.get_user(CONTEXT, name, "%") is None
    assert names(manager) == before


@pytest.mark.parametrize("name", REFUSED + RESERVED)
def test_a_name_that_the_server_cannot_have_is_refused(manager: MariaDBManager, name: str) -> None:
    before = names(manager)
    with pytest.raises(InvalidValue) as refused:
        manager.create_user(CONTEXT, [user(name)])
    str(refused.value).encode()
    assert names(manager) == before


@pytest.mark.parametrize("name", ["root", "guestagent", "mariadb.sys", "", "😀", "nul\0", "x" * 500, "' OR 1=1 --"])
def test_hidden_and_impossible_users_are_not_there(manager: MariaDBManager, name: str) -> None:
    assert manager.get_user(CONTEXT, name, "localhost") is None
    assert manager.get_user(CONTEXT, name, "%") is None
    with pytest.raises(NotFound):
        manager.delete_user(CONTEXT, User(name, "localhost"))
    with pytest.raises(NotFound):
        manager.change_passwords(CONTEXT, [PasswordChange(name, "new", "localhost")])
    with pytest.raises(NotFound):
        manager.grant_access(CONTEXT, name, "localhost", [])
    assert manager.answers()


@pytest.mark.parametrize("host", HOSTS)
def test_a_user_has_a_host(manager: MariaDBManager, host: str) -> None:
    manager.create_user(CONTEXT, [user("hosted", host=host)])
    assert f"hosted@{host.lower()}" in names(manager)
    manager.delete_user(CONTEXT, User("hosted", host))
    assert f"hosted@{host.lower()}" not in names(manager)


@pytest.mark.parametrize("host", NO_HOSTS)
def test_a_host_that_is_none_is_refused(manager: MariaDBManager, host: str) -> None:
    before = names(manager)
    with pytest.raises(InvalidValue):
        manager.create_user(CONTEXT, [user("hosted", host=host)])
    assert names(manager) == before


def test_a_list_is_created_up_to_the_one_that_fails_and_that_one_leaves_nothing(manager: MariaDBManager) -> None:
    ungrantable = "_" * 40
    with pytest.raises(InvalidValue, match="grant"):
        manager.create_user(CONTEXT, [user("list1"), user("list2", databases=("any", ungrantable)), user("list3")])
    assert manager.get_user(CONTEXT, "list1", "%") is not None
    assert manager.get_user(CONTEXT, "list2", "%") is None
    assert manager.get_user(CONTEXT, "list3", "%") is None


def test_a_user_that_exists_is_not_changed(guest: Machine, manager: MariaDBManager) -> None:
    manager.create_user(CONTEXT, [user("twice")])
    with pytest.raises(AlreadyExists, match="'twice@%'"):
        manager.create_user(CONTEXT, [user("twice", "another")])
    assert guest.ask("twice", PASSWORD, "SELECT 1") == ((1,),)
    manager.create_user(CONTEXT, [user("twice", host="10.1.1.1")])
    assert {"twice@%", "twice@10.1.1.1"} <= set(names(manager))


class TestGrants:
    """What a user reaches is what was granted, and nothing that only looks like it."""

    DATABASES = ("g_a", "gxa", "g%a", "gya", "g\\a", "g\\_a", "g`a", "g'a", "g名")

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def made(cls, guest: Machine) -> None:
        guest.manager().create_database(CONTEXT, [Database(name) for name in cls.DATABASES])

    @pytest.mark.parametrize("database", DATABASES)
    def test_a_grant_is_for_one_database(self, guest: Machine, manager: MariaDBManager, database: str) -> None:
        manager.create_user(CONTEXT, [user("granted", databases=(database,))])
        try:
            assert databases_seen_by(guest, "granted") == {database}
            quoted = "`" + database.replace("`", "``") + "`"
            guest.ask("granted", PASSWORD, f"CREATE TABLE {quoted}.t (a INT)")
            guest.ask("granted", PASSWORD, f"DROP TABLE {quoted}.t")
            assert manager.list_access(CONTEXT, "granted", "%") == [Database(database)]
            found = manager.get_user(CONTEXT, "granted", "%")
            assert found is not None
            assert found.databases == [Database(database)]

            manager.revoke_access(CONTEXT, "granted", "%", database)
            assert databases_seen_by(guest, "granted") == set()
            with pytest.raises(NotFound):
                manager.revoke_access(CONTEXT, "granted", "%", database)
        finally:
            manager.delete_user(CONTEXT, User("granted"))

    def test_access_is_granted_later_too(self, guest: Machine, manager: MariaDBManager) -> None:
        manager.create_user(CONTEXT, [user("later")])
        manager.grant_access(CONTEXT, "later", "%", ["g_a", "g%a"])
        manager.grant_access(CONTEXT, "later", "%", ["g_a"])
        assert databases_seen_by(guest, "later") == {"g_a", "g%a"}
        assert manager.list_access(CONTEXT, "later", None) == [Database("g%a"), Database("g_a")]

    @pytest.mark.parametrize(("database", "error"), [("nowhere", NotFound), ("mysql", InvalidValue), ("*", NotFound)])
    def test_what_cannot_be_granted_grants_nothing(
        self, guest: Machine, manager: MariaDBManager, database: str, error: type[Exception]
    ) -> None:
        manager.create_user(CONTEXT, [user("modest")])
        try:
            with pytest.raises(error):
                manager.grant_access(CONTEXT, "modest", "%", ["g_a", database])
            assert databases_seen_by(guest, "modest") == set()
        finally:
            manager.delete_user(CONTEXT, User("modest"))

    def test_a_grant_that_root_gave_with_wildcards_is_shown_and_taken(
        self, guest: Machine, manager: MariaDBManager
    ) -> None:
        manager.create_user(CONTEXT, [user("wild")])
        password = manager.enable_root(CONTEXT).password or ""
        guest.ask("root", password, "GRANT ALL ON `g_a`.* TO wild@'%' WITH GRANT OPTION")
        assert manager.list_access(CONTEXT, "wild", "%") == [Database("g_a")]
        manager.revoke_access(CONTEXT, "wild", "%", "g_a")
        assert manager.list_access(CONTEXT, "wild", "%") == []
        assert databases_seen_by(guest, "wild") == set()

    def test_a_changed_user_keeps_its_grants(self, guest: Machine, manager: MariaDBManager) -> None:
        manager.create_user(CONTEXT, [user("before", databases=("g_a",))])
        manager.update_attributes(CONTEXT, "before", "%", UserAttributes("after", "new secret", "127.0.0.%"))
        assert manager.get_user(CONTEXT, "before", "%") is None
        assert manager.get_user(CONTEXT, "after", "127.0.0.%") == User("after", "127.0.0.%", None, [Database("g_a")])
        assert databases_seen_by(guest, "after", "new secret") == {"g_a"}


class TestChanges:
    """Changes of users, one attribute at a time."""

    @pytest.fixture(autouse=True)
    def made(self, manager: MariaDBManager) -> None:
        for one in manager.list_users(CONTEXT)[0]:
            if one.name.startswith("change"):
                manager.delete_user(CONTEXT, one)
        manager.create_user(CONTEXT, [user("change1"), user("change2")])

    def test_one_attribute_leaves_the_others(self, guest: Machine, manager: MariaDBManager) -> None:
        manager.update_attributes(CONTEXT, "change1", "%", UserAttributes(name="change3"))
        assert guest.ask("change3", PASSWORD, "SELECT CURRENT_USER()") == (("change3@%",),)
        manager.update_attributes(CONTEXT, "change3", "%", UserAttributes(host="127.0.0.1"))
        assert guest.ask("change3", PASSWORD, "SELECT CURRENT_USER()") == (("change3@127.0.0.1",),)
        manager.update_attributes(CONTEXT, "change3", "127.0.0.1", UserAttributes(password="new"))
        assert guest.ask("change3", "new", "SELECT 1") == ((1,),)
        manager.update_attributes(CONTEXT, "change3", "127.0.0.1", UserAttributes())
        assert guest.ask("change3", "new", "SELECT 1") == ((1,),)

    @pytest.mark.parametrize(
        "attributes", [UserAttributes(name="root", password="new"), UserAttributes(host="localhost", password="new")]
    )
    def test_a_change_that_cannot_be_changes_nothing(
        self, guest: Machine, manager: MariaDBManager, attributes: UserAttributes
    ) -> None:
        with pytest.raises(InvalidValue):
            manager.update_attributes(CONTEXT, "change1", "%", attributes)
        assert guest.ask("change1", PASSWORD, "SELECT CURRENT_USER()") == (("change1@%",),)


class TestPages:
    """The pages of the users; their markers sort as bytes."""

    MARKERS = ("page@%", "page@10.0.0.%", "page@b@%", "pageA@%", "pagea@%", "pageé@%")

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def made(cls, guest: Machine) -> None:
        manager = guest.manager()
        manager.create_user(CONTEXT, [user(*_split(marker)) for marker in reversed(cls.MARKERS)])

    def page(self, manager: MariaDBManager, **asked: object) -> tuple[list[str], str | None]:
        found, marker = manager.list_users(CONTEXT, **asked)  # type: ignore[arg-type]
        return [f"{one.name}@{one.host}" for one in found], marker

    def test_one_page_follows_the_other(self, manager: MariaDBManager) -> None:
        found: list[str] = []
        marker: str | None = "page"
        while marker:
            markers, marker = self.page(manager, limit=2, marker=marker)
            found += markers
        assert tuple(one for one in found if one.startswith("page")) == self.MARKERS

    def test_the_question_whether_a_user_exists(self, manager: MariaDBManager) -> None:
        asked = {"limit": 1, "include_marker": True}
        assert self.page(manager, marker="page@10.0.0.%", **asked) == (["page@10.0.0.%"], "page@10.0.0.%")
        assert self.page(manager, marker="page@10.0.0.1", **asked)[0] == ["page@b@%"]

    def test_users_of_the_guest_itself_are_on_no_page(self, manager: MariaDBManager) -> None:
        manager.enable_root(CONTEXT)
        listed, marker = self.page(manager)
        assert marker is None
        assert not [one for one in listed if one.startswith(("root@", "guestagent@", "mariadb.sys@", "@"))]

    def test_a_role_is_no_user(self, guest: Machine, manager: MariaDBManager) -> None:
        password = manager.enable_root(CONTEXT).password or ""
        guest.ask("root", password, "CREATE OR REPLACE ROLE journalist")
        assert not [one for one in self.page(manager)[0] if one.startswith("journalist")]
        assert manager.get_user(CONTEXT, "journalist", "%") is None


def _split(marker: str) -> tuple[str, str, str]:
    name, _, host = marker.rpartition("@")
    return name, PASSWORD, host
