"""Users: what every request leaves, and one that fails; the calls on real servers are with the functional tests."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from guestagent.capabilities.users import Users
from guestagent.contract.context import RequestContext
from guestagent.contract.databases import Database
from guestagent.contract.errors import AlreadyExists, DatastoreError, InvalidValue, NotFound
from guestagent.contract.users import PasswordChange, User, UserAttributes
from guestagent.guest import Guest
from tests.unit.capabilities.conftest import MakeGuest

CONTEXT = RequestContext()
HIDDEN = "keeper"


class Book(Users[str]):
    """A server that keeps its users in a dictionary and fails where it is told to.

    :ivar kept: passwords by user.
    :ivar grants: databases by user.
    """

    def __init__(self, guest: Guest, directory: Path) -> None:
        super().__init__(guest)
        self.directory = directory
        self.kept: dict[str, str] = {HIDDEN: "secret"}
        self.grants: dict[str, list[str]] = {}
        self.fails_at = ""

    @property
    def default_mount_point(self) -> str:
        return str(self.directory)

    @property
    def default_device_path(self) -> str | None:
        return None

    def asked_account(self, name: str, host: str | None) -> str:
        return name

    def own_account(self, name: str, host: str | None) -> str:
        if name == HIDDEN:
            raise InvalidValue(subject="The user name", problem="it is ours")
        return name

    def visible_account(self, name: str, host: str | None) -> str | None:
        return name if name in self.kept and name != HIDDEN else None

    def account_exists(self, account: str) -> bool:
        return account in self.kept

    def described(self, account: str, databases: Sequence[str]) -> User:
        return User(account, "%", databases=[Database(name) for name in databases])

    def digest(self, password: str | None, account: str) -> str:
        return f"digest of {password}"

    def create_account(self, account: str, kept: str) -> None:
        self.kept[account] = kept

    def drop_account(self, account: str) -> None:
        del self.kept[account]
        self.grants.pop(account, None)

    def rename_account(self, account: str, wanted: str) -> None:
        self._fail("rename")
        self.kept[wanted] = self.kept.pop(account)
        self.grants[wanted] = self.grants.pop(account, [])

    def set_password(self, account: str, kept: str) -> None:
        self.kept[account] = kept

    def kept_password(self, account: str) -> str | None:
        return self.kept.get(account)

    def own_database(self, name: str) -> str:
        return name

    def database_exists(self, name: str) -> bool:
        return name == "shop"

    def granted(self, accounts: Sequence[str]) -> dict[str, list[str]]:
        return {account: self.grants.get(account, []) for account in accounts}

    def grant(self, account: str, database: str) -> None:
        self._fail("grant")
        self.grants.setdefault(account, []).append(database)

    def revoke(self, account: str, database: str) -> None:
        self.grants[account].remove(database)

    def _fail(self, what: str) -> None:
        if self.fails_at == what:
            raise DatastoreError(subject=what, problem="the server went away")


@pytest.fixture
def book(make_guest: MakeGuest, tmp_path: Path) -> Book:
    made = Book(make_guest(), tmp_path)
    made.create_user(CONTEXT, [User("ada", "%", password="first", databases=[Database("shop")])])
    return made


def test_a_user_is_made_with_its_password_and_its_databases(book: Book) -> None:
    assert book.kept == {HIDDEN: "secret", "ada": "digest of first"}
    assert book.get_user(CONTEXT, "ada") == User("ada", "%", databases=[Database("shop")])


def test_a_user_whose_grants_fail_is_not_there(book: Book) -> None:
    book.fails_at = "grant"
    with pytest.raises(DatastoreError):
        book.create_user(CONTEXT, [User("bob", "%", password="first", databases=[Database("shop")])])
    assert "bob" not in book.kept


def test_a_user_that_was_there_before_survives_one_of_its_name(book: Book) -> None:
    with pytest.raises(AlreadyExists):
        book.create_user(CONTEXT, [User("ada", "%", password="other")])
    assert book.kept["ada"] == "digest of first"


def test_a_rename_that_fails_puts_the_password_back(book: Book) -> None:
    book.fails_at = "rename"
    with pytest.raises(DatastoreError):
        book.update_attributes(CONTEXT, "ada", None, UserAttributes(name="ida", password="second"))
    assert book.kept == {HIDDEN: "secret", "ada": "digest of first"}


def test_a_name_that_somebody_has_is_refused_before_anything_is_changed(book: Book) -> None:
    book.create_user(CONTEXT, [User("bob", "%", password="his")])
    with pytest.raises(AlreadyExists, match="'bob'"):
        book.update_attributes(CONTEXT, "ada", None, UserAttributes(name="bob", password="second"))
    assert book.kept["ada"] == "digest of first"


def test_grants_follow_a_new_name(book: Book) -> None:
    book.update_attributes(CONTEXT, "ada", None, UserAttributes(name="ida", password="second"))
    assert book.kept == {HIDDEN: "secret", "ida": "digest of second"}
    assert book.list_access(CONTEXT, "ida") == [Database("shop")]


@pytest.mark.parametrize("name", ["nobody", HIDDEN])
def test_who_is_not_there_or_hidden_is_not_found(book: Book, name: str) -> None:
    assert book.get_user(CONTEXT, name) is None
    with pytest.raises(NotFound, match=name):
        book.delete_user(CONTEXT, User(name, "%"))
    with pytest.raises(NotFound, match=name):
        book.change_passwords(CONTEXT, [PasswordChange("ada", "new"), PasswordChange(name, "new")])
    assert book.kept["ada"] == "digest of first"


def test_a_database_that_is_not_there_is_not_granted(book: Book) -> None:
    with pytest.raises(NotFound, match="'attic'"):
        book.grant_access(CONTEXT, "ada", None, ["attic"])
    assert book.grants == {"ada": ["shop"]}


def test_what_is_revoked_is_gone(book: Book) -> None:
    book.revoke_access(CONTEXT, "ada", None, "shop")
    assert book.list_access(CONTEXT, "ada") == []
