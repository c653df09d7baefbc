"""Users of databases: what is the same for every server that keeps users and grants them databases."""

import abc
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from guestagent.capabilities.volume import DataVolume
from guestagent.contract.context import RequestContext
from guestagent.contract.databases import Database
from guestagent.contract.errors import AlreadyExists, NotFound
from guestagent.contract.users import ANYWHERE, PasswordChange, User, UserAttributes
from guestagent.operations.plan import Plan, Step

Account = TypeVar("Account")
"""What the server knows a user by, which reads as a user's name in an error: a name, or a name and a host."""


class Users(DataVolume, abc.ABC, Generic[Account]):
    """Supports the capability *users*, but for the list of them, which a server knows best how to cut.

    A list is created in its order, each user with all its grants or not at all. The one that fails ends
    the call; those before it stay, and the control plane is told which one failed.
    """

    # -- what there is

    @abc.abstractmethod
    def asked_account(self, name: str, host: str | None) -> Account:
        """What the server would know such a user by, whether or not there is one."""

    @abc.abstractmethod
    def own_account(self, name: str, host: str | None) -> Account:
        """The same for a user that is to be.

        :raises InvalidValue: a user of the users' cannot have this name or this host.
        """

    @abc.abstractmethod
    def visible_account(self, name: str, host: str | None) -> Account | None:
        """The user that was asked for; none: there is none, or it is the server's, the agent's or an operator's."""

    @abc.abstractmethod
    def account_exists(self, account: Account) -> bool:
        """Whether there is exactly this one, hidden or not."""

    @abc.abstractmethod
    def described(self, account: Account, databases: Sequence[str]) -> User:
        """The user as the control plane knows it."""

    # -- logins

    @abc.abstractmethod
    def digest(self, password: str | None, account: Account) -> str:
        """What the server keeps of a password.

        :raises InvalidValue: it cannot be one.
        """

    @abc.abstractmethod
    def create_account(self, account: Account, kept: str) -> None:
        """Make a user that is not there."""

    @abc.abstractmethod
    def drop_account(self, account: Account) -> None:
        """Remove a user that is there, with its grants."""

    @abc.abstractmethod
    def rename_account(self, account: Account, wanted: Account) -> None:
        """Give a user that is there another name; grants follow it."""

    @abc.abstractmethod
    def set_password(self, account: Account, kept: str) -> None:
        """Change the password of a user that is there; repeating it is safe."""

    @abc.abstractmethod
    def kept_password(self, account: Account) -> str | None:
        """What the server keeps of a user's password; none: nothing that :meth:`set_password` could set again."""

    # -- grants

    @abc.abstractmethod
    def own_database(self, name: str) -> str:
        """The name, if a database of a user can have it.

        :raises InvalidValue: it cannot.
        """

    @abc.abstractmethod
    def database_exists(self, name: str) -> bool:
        """Whether there is a database of this name."""

    @abc.abstractmethod
    def granted(self, accounts: Sequence[Account]) -> Mapping[Account, Sequence[str]]:
        """The databases of the users' that each user has been granted."""

    @abc.abstractmethod
    def grant(self, account: Account, database: str) -> None:
        """Give a user all privileges on a database; repeating it is safe."""

    @abc.abstractmethod
    def revoke(self, account: Account, database: str) -> None:
        """Take them away.

        :raises NotFound: it has none.
        """

    # -- the calls

    def create_user(self, context: RequestContext, users: list[User]) -> None:
        self.require_room()
        for number, user in enumerate(users, 1):
            self.guest.carry_out(Plan(f"create user {number}", self._creation(user)))

    def get_user(self, context: RequestContext, username: str, hostname: str | None = None) -> User | None:
        account = self.visible_account(username, hostname)
        return None if account is None else self.described(account, self.granted([account])[account])

    def delete_user(self, context: RequestContext, user: User) -> None:
        step = Step(
            "drop it",
            lambda: self.drop_account(self.existing_account(user.name, user.host)),
            done=lambda: self.visible_account(user.name, user.host) is None,
        )
        self.guest.carry_out(Plan("drop a user", [step]))

    def change_passwords(self, context: RequestContext, users: list[PasswordChange]) -> None:
        self.require_room()
        changes = [(self.existing_account(user.name, user.host), user.password) for user in users]
        digests = [(account, self.digest(password, account)) for account, password in changes]

        def change() -> None:
            for account, kept in digests:
                self.set_password(account, kept)

        self.guest.carry_out(Plan("change passwords", [Step("change them", change)]))

    def update_attributes(
        self, context: RequestContext, username: str, hostname: str | None, user_attrs: UserAttributes
    ) -> None:
        self.require_room()
        account = self.asked_account(username, hostname)
        wanted = self._wanted_account(username, hostname, user_attrs)
        kept = None if user_attrs.password is None else self.digest(user_attrs.password, account)

        def check() -> None:
            self.existing_account(username, hostname)
            if wanted != account and self.account_exists(wanted):
                raise AlreadyExists(subject=f"User '{wanted}'")

        def set_password() -> None:
            if kept is not None:
                self.set_password(account, kept)

        def set_back(before: str | None) -> None:
            if before and kept is not None and self.account_exists(account):
                self.set_password(account, before)

        def rename() -> None:
            if wanted != account:
                self.rename_account(account, wanted)

        def is_renamed() -> bool:
            return wanted != account and self.account_exists(wanted) and not self.account_exists(account)

        steps = [
            Step("find the user", check, done=is_renamed),
            # First, because afterwards there is no user of that name.
            Step(
                "set the password",
                set_password,
                done=is_renamed,
                keep=lambda: self.kept_password(account),
                undo=set_back,
            ),
            Step("rename it", rename, done=is_renamed),
        ]
        self.guest.carry_out(Plan("change a user", steps))

    def grant_access(self, context: RequestContext, username: str, hostname: str | None, databases: list[str]) -> None:
        self.require_room()
        account = self.existing_account(username, hostname)
        for database in databases:
            if not self.database_exists(self.own_database(database)):
                raise NotFound(subject=f"Database {database!r}")
        self.guest.carry_out(Plan("grant access", [self._grant_step(account, databases)]))

    def revoke_access(self, context: RequestContext, username: str, hostname: str | None, database: str) -> None:
        account = self.existing_account(username, hostname)
        step = Step(
            "revoke it",
            lambda: self.revoke(account, database),
            done=lambda: database not in self.granted([account])[account],
        )
        self.guest.carry_out(Plan("revoke access", [step]))

    def list_access(self, context: RequestContext, username: str, hostname: str | None = None) -> list[Database]:
        account = self.existing_account(username, hostname)
        return [Database(name) for name in self.granted([account])[account]]

    def existing_account(self, name: str, host: str | None) -> Account:
        """The visible user.

        :raises NotFound: there is none.
        """
        account = self.visible_account(name, host)
        if account is None:
            raise NotFound(subject=f"User '{name}@{host or ANYWHERE}'")
        return account

    def _wanted_account(self, username: str, hostname: str | None, user_attrs: UserAttributes) -> Account:
        if user_attrs.name is None and user_attrs.host is None:
            return self.asked_account(username, hostname)
        name = username if user_attrs.name is None else user_attrs.name
        return self.own_account(name, hostname if user_attrs.host is None else user_attrs.host)

    def _creation(self, user: User) -> list[Step]:
        account = self.own_account(user.name, user.host)
        databases = [self.own_database(database.name) for database in user.databases]
        kept = self.digest(user.password, account)

        def require() -> None:
            if self.account_exists(account):
                raise AlreadyExists(subject=f"User '{account}'")

        def take_back(existed: bool | None) -> None:
            if not existed and self.account_exists(account):
                self.drop_account(account)

        def exists() -> bool:
            return self.account_exists(account)

        create = Step(
            "create it",
            lambda: self.create_account(account, kept),
            require=require,
            done=exists,
            keep=exists,
            undo=take_back,
        )
        return [create, self._grant_step(account, databases)]

    def _grant_step(self, account: Account, databases: Sequence[str]) -> Step:
        def grant() -> None:
            for database in databases:
                self.grant(account, database)

        return Step("grant it databases", grant)
