"""Users of a real server: names, passwords and grants, tried by logging in."""

import pytest
from guestagent_postgresql.manager import PostgreSQLManager
from pg8000.exceptions import DatabaseError

from guestagent.contract.databases import Database
from guestagent.contract.errors import InvalidValue, NotFound
from guestagent.contract.users import PasswordChange, User, UserAttributes
from tests.functional.postgresql.machine import Machine
from tests.support.machine import CONTEXT, PASSWORD, user

HOSTILE = [
    "it's",
    'say "hi"',
    "\" SUPERUSER PASSWORD 'x'; --",
    "'; DROP ROLE postgres; --",
    "per%cent",
    "colon:name",
    "back\\slash",
    "a@b",
    "bob@%b",
    "用户",
    " lead",
    "Root",
    "x" * 63,
]
REFUSED = ["", "x" * 64, "nul\0", "new\nline", "\ud800", "public", "none", "pg_monitor", "PG_x", "owner_of_x"]
RESERVED = ["postgres", "guestagent"]


def names(manager: PostgreSQLManager) -> list[str]:
    return [one.name for one in manager.list_users(CONTEXT)[0]]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_a_name_whatever_it_looks_like(guest: Machine, manager: PostgreSQLManager, name: str) -> None:
    before = names(manager)

    manager.create_user(CONTEXT, [user(name)])
    assert guest.ask(name, PASSWORD, "SELECT CAST(current_user AS text)") == [[name]]
    assert manager.get_user(CONTEXT, name, "%") == User(name, "%")
    assert set(names(manager)) - set(before) == {name}

    manager.delete_user(CONTEXT, User(name, "%"))
    assert manager.get_user(CONTEXT, name, "%") is None
    assert names(manager) == before


@pytest.mark.parametrize("name", REFUSED + RESERVED)
def test_a_name_that_the_server_cannot_have_is_refused(manager: PostgreSQLManager, name: str) -> None:
    before = names(manager)
    with pytest.raises(InvalidValue) as refused:
        manager.create_user(CONTEXT, [user(name)])
    str(refused.value).encode()
    assert names(manager) == before


@pytest.mark.parametrize("name", ["postgres", "guestagent", "pg_monitor", "", "nul\0", "x" * 500, "' OR 1=1 --"])
def test_hidden_and_impossible_users_are_not_there(manager: PostgreSQLManager, name: str) -> None:
    assert manager.get_user(CONTEXT, name, "%") is None
    with pytest.raises(NotFound):
        manager.delete_user(CONTEXT, User(name))
    with pytest.raises(NotFound):
        manager.change_passwords(CONTEXT, [PasswordChange(name, "new")])
    with pytest.raises(NotFound):
        manager.grant_access(CONTEXT, name, None, [])
    assert manager.answers()


@pytest.mark.parametrize("host", ["10.0.0.%", "localhost", "127.0.0.1", "a'b"])
def test_a_host_is_refused_because_roles_have_none(manager: PostgreSQLManager, host: str) -> None:
    with pytest.raises(InvalidValue, match="no hosts"):
        manager.create_user(CONTEXT, [user("hosted", host=host)])
    assert manager.get_user(CONTEXT, "hosted") is None
    manager.create_user(CONTEXT, [user("hosted", host="%")])
    assert manager.get_user(CONTEXT, "hosted", host) is None
    with pytest.raises(InvalidValue, match="no hosts"):
        manager.update_attributes(CONTEXT, "hosted", "%", UserAttributes(host=host))
    manager.delete_user(CONTEXT, User("hosted"))


def test_a_list_is_created_up_to_the_one_that_fails_and_that_one_leaves_nothing(manager: PostgreSQLManager) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        manager.create_user(CONTEXT, [user("list1"), user("list2", databases=("nowhere",)), user("list3")])
    assert manager.get_user(CONTEXT, "list1", "%") is not None
    assert manager.get_user(CONTEXT, "list2", "%") is None
    assert manager.get_user(CONTEXT, "list3", "%") is None


class TestGrants:
    """What a user reaches is what was granted; who was granted a database can do everything there."""

    DATABASES = ("g_a", "gxa", "g%a", 'g"a', "g'a", "g名")

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def made(cls, guest: Machine) -> None:
        guest.manager().create_database(CONTEXT, [Database(name) for name in cls.DATABASES])

    def reached(self, guest: Machine, name: str, password: str = PASSWORD) -> set[str]:
        found = set()
        for database in self.DATABASES:
            try:
                guest.ask(name, password, "SELECT 1", database)
            except DatabaseError:
                continue
            found.add(database)
        return found

    @pytest.mark.parametrize("database", DATABASES)
    def test_a_grant_is_for_one_database(self, guest: Machine, manager: PostgreSQLManager, database: str) -> None:
        manager.create_user(CONTEXT, [user("granted", databases=(database,))])
        try:
            assert self.reached(guest, "granted") == {database}
            guest.ask(
                "granted", PASSWORD, "CREATE SCHEMA s; CREATE TABLE s.t (a int); CREATE TABLE t (a int)", database
            )
            guest.ask("granted", PASSWORD, "DROP TABLE t; DROP SCHEMA s CASCADE", database)
            assert manager.list_access(CONTEXT, "granted", "%") == [Database(database)]
            found = manager.get_user(CONTEXT, "granted", "%")
            assert found is not None
            assert found.databases == [Database(database)]

            manager.revoke_access(CONTEXT, "granted", "%", database)
            assert self.reached(guest, "granted") == set()
            with pytest.raises(NotFound):
                manager.revoke_access(CONTEXT, "granted", "%", database)
        finally:
            manager.delete_user(CONTEXT, User("granted"))

    def test_users_of_a_database_share_what_is_in_it(self, guest: Machine, manager: PostgreSQLManager) -> None:
        manager.create_user(CONTEXT, [user("one", databases=("g_a",)), user("two", databases=("g_a",))])
        guest.ask("one", PASSWORD, "CREATE TABLE shared (a int); INSERT INTO shared VALUES (1)", "g_a")
        assert guest.ask("two", PASSWORD, "SELECT a FROM shared", "g_a") == [[1]]
        guest.ask("two", PASSWORD, "ALTER TABLE shared ADD b int", "g_a")
        manager.delete_user(CONTEXT, User("one"))
        assert guest.ask("two", PASSWORD, "SELECT a, b FROM shared", "g_a") == [[1, None]]
        manager.delete_user(CONTEXT, User("two"))

    @pytest.mark.parametrize(
        ("database", "error"), [("nowhere", NotFound), ("postgres", InvalidValue), ("*", NotFound)]
    )
    def test_what_cannot_be_granted_grants_nothing(
        self, guest: Machine, manager: PostgreSQLManager, database: str, error: type[Exception]
    ) -> None:
        manager.create_user(CONTEXT, [user("modest")])
        try:
            with pytest.raises(error):
                manager.grant_access(CONTEXT, "modest", "%", ["g_a", database])
            assert self.reached(guest, "modest") == set()
        finally:
            manager.delete_user(CONTEXT, User("modest"))


class TestOfSql:
    """Databases, grants and tables that somebody made without the agent, as in data that came from elsewhere."""

    @pytest.fixture
    def settled(self, guest: Machine, manager: PostgreSQLManager) -> None:
        manager.create_user(CONTEXT, [user("settler"), user("guested"), user("newcomer")])
        for statement in (
            "CREATE DATABASE homestead OWNER settler",
            "GRANT ALL PRIVILEGES ON DATABASE homestead TO guested",
        ):
            manager.connections.execute("Settling", statement)
        guest.ask("settler", PASSWORD, "CREATE SCHEMA barn; CREATE TABLE barn.t (a int)", "homestead")

    def test_they_are_shown_granted_revoked_and_dropped(
        self, guest: Machine, manager: PostgreSQLManager, settled: None
    ) -> None:
        for name in ("settler", "guested"):
            assert manager.list_access(CONTEXT, name) == [Database("homestead")]
        manager.grant_access(CONTEXT, "newcomer", None, ["homestead"])
        guest.ask("newcomer", PASSWORD, "CREATE TABLE public.new (a int)", "homestead")
        assert guest.ask("settler", PASSWORD, "SELECT * FROM barn.t", "homestead") == []
        manager.revoke_access(CONTEXT, "guested", None, "homestead")
        assert manager.list_access(CONTEXT, "guested") == []
        manager.delete_user(CONTEXT, User("settler"))
        assert guest.ask("newcomer", PASSWORD, "SELECT * FROM barn.t", "homestead") == []
        manager.revoke_access(CONTEXT, "newcomer", None, "homestead")
        for name in ("guested", "newcomer"):
            manager.delete_user(CONTEXT, User(name))
        manager.delete_database(CONTEXT, Database("homestead"))

    def test_an_owner_can_be_revoked(self, guest: Machine, manager: PostgreSQLManager, settled: None) -> None:
        manager.revoke_access(CONTEXT, "settler", None, "homestead")
        assert manager.list_access(CONTEXT, "settler") == []
        for name in ("settler", "guested", "newcomer"):
            manager.delete_user(CONTEXT, User(name))
        manager.delete_database(CONTEXT, Database("homestead"))


class TestChanges:
    """Changes of users, one attribute at a time."""

    @pytest.fixture(autouse=True)
    def made(self, manager: PostgreSQLManager) -> None:
        for one in manager.list_users(CONTEXT)[0]:
            if one.name.startswith("change"):
                manager.delete_user(CONTEXT, one)
        manager.create_user(CONTEXT, [user("change1"), user("change2")])

    @pytest.mark.parametrize(
        "attributes",
        [UserAttributes(name="postgres", password="new"), UserAttributes(host="localhost", password="new")],
    )
    def test_a_change_that_cannot_be_changes_nothing(
        self, guest: Machine, manager: PostgreSQLManager, attributes: UserAttributes
    ) -> None:
        with pytest.raises(InvalidValue):
            manager.update_attributes(CONTEXT, "change1", "%", attributes)
        assert guest.ask("change1", PASSWORD, "SELECT 1") == [[1]]


class TestPages:
    """The pages of the users; their names sort as bytes."""

    NAMES = ("page", "page@b", "pageA", "pagea", "pageé")

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def made(cls, guest: Machine) -> None:
        guest.manager().create_user(CONTEXT, [user(name) for name in reversed(cls.NAMES)])

    def page(self, manager: PostgreSQLManager, **asked: object) -> tuple[list[str], str | None]:
        found, marker = manager.list_users(CONTEXT, **asked)  # type: ignore[arg-type]
        return [one.name for one in found], marker

    def test_the_question_whether_a_user_exists(self, manager: PostgreSQLManager) -> None:
        asked = {"limit": 1, "include_marker": True}
        assert self.page(manager, marker="page@%", **asked) == (["page"], "page")
        assert self.page(manager, marker="page@10.0.0.1", **asked)[0] == ["page@b"]

    def test_a_role_that_cannot_log_in_is_no_user(self, guest: Machine, manager: PostgreSQLManager) -> None:
        manager.connections.execute("Making a role", "CREATE ROLE journalist NOLOGIN")
        assert "journalist" not in self.page(manager)[0]
        assert manager.get_user(CONTEXT, "journalist", "%") is None
        manager.connections.execute("Dropping it", "DROP ROLE journalist")

    def test_the_agent_and_root_are_on_no_page(self, manager: PostgreSQLManager) -> None:
        manager.enable_root(CONTEXT)
        assert not {"postgres", "guestagent"} & set(self.page(manager)[0])
