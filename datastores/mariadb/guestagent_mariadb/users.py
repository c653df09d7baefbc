"""Users: create, change, list and drop; grant and revoke."""

from collections.abc import Sequence

from guestagent.capabilities import paging
from guestagent.contract.context import RequestContext
from guestagent.contract.databases import Database
from guestagent.contract.errors import AlreadyExists, InvalidValue, NotFound
from guestagent.contract.users import ANYWHERE, PasswordChange, User, UserAttributes
from guestagent.guest import Guest
from guestagent.operations.plan import Plan, Step
from guestagent_mariadb.access import refuse_reserved
from guestagent_mariadb.databases import MariaDBDatabases
from guestagent_mariadb.grants import Account, Grants
from guestagent_mariadb.identifiers import check_host, check_user

SYSTEM_USERS = frozenset({"", "root", "mysql", "mariadb.sys"})
TOO_LONG = 1470


class MariaDBUsers(MariaDBDatabases):
    """Supports the capability *users*.

    A list is created in its order, each user with all its grants or not at all. The one that fails ends
    the call; those before it stay, and the control plane is told which one failed.
    """

    def __init__(self, guest: Guest) -> None:
        super().__init__(guest)
        self.grants = Grants(self.connections)

    @property
    def hidden_users(self) -> frozenset[str]:
        """The users that are not the users'."""
        return SYSTEM_USERS | {self.administrator.name} | frozenset(self.options.ignore_users)

    def create_user(self, context: RequestContext, users: list[User]) -> None:
        self.require_room()
        for number, user in enumerate(users, 1):
            self.guest.carry_out(Plan(f"create user {number}", self._creation(user)))

    def list_users(
        self,
        context: RequestContext,
        limit: int | None = None,
        marker: str | None = None,
        include_marker: bool = False,
    ) -> tuple[list[User], str | None]:
        page = paging.asked(limit, marker, include_marker)
        rows = self.connections.fetch(
            "Listing users",
            "SELECT User, Host FROM mysql.user"
            " WHERE is_role = 'N' AND Host <> 'localhost' AND BINARY User NOT IN %s"
            " AND (BINARY CONCAT(User, '@', Host) > %s OR %s AND BINARY CONCAT(User, '@', Host) = %s)"
            " ORDER BY BINARY CONCAT(User, '@', Host) LIMIT %s",
            (sorted(self.hidden_users), page.marker, page.at_marker, page.marker, page.rows),
        )
        accounts, next_marker = paging.cut([Account(*row) for row in rows], page, str)
        granted = self.grants.of(accounts)
        return [_as_user(account, granted[account]) for account in accounts], next_marker

    def get_user(self, context: RequestContext, username: str, hostname: str | None = None) -> User | None:
        account = self._visible_user(username, hostname)
        return None if account is None else _as_user(account, self.grants.of([account])[account])

    def delete_user(self, context: RequestContext, user: User) -> None:
        def drop() -> None:
            account = self._existing_user(user.name, user.host)
            self.connections.execute(f"Dropping user '{account}'", "DROP USER %s@%s", account)

        step = Step("drop it", drop, done=lambda: self._visible_user(user.name, user.host) is None)
        self.guest.carry_out(Plan("drop a user", [step]))

    def change_passwords(self, context: RequestContext, users: list[PasswordChange]) -> None:
        from guestagent_mariadb.passwords import digest

        self.require_room()
        changes = [(self._existing_user(user.name, user.host), user.password) for user in users]
        digests = [(account, digest(password, f"user '{account}'")) for account, password in changes]

        def change() -> None:
            for account, kept in digests:
                self._set_password(account, kept)

        self.guest.carry_out(Plan("change passwords", [Step("change them", change)]))

    def update_attributes(
        self, context: RequestContext, username: str, hostname: str | None, user_attrs: UserAttributes
    ) -> None:
        from guestagent_mariadb.passwords import digest

        self.require_room()
        account = _account(username, hostname)
        wanted = Account(
            account.name if user_attrs.name is None else self._own_user_name(user_attrs.name),
            account.host if user_attrs.host is None else check_host(user_attrs.host),
        )
        kept = None if user_attrs.password is None else digest(user_attrs.password, f"user '{account}'")

        def check() -> None:
            self._existing_user(*account)
            if wanted != account and self.user_exists(wanted):
                raise AlreadyExists(subject=f"User '{wanted}'")

        def set_password() -> None:
            if kept is not None:
                self._set_password(account, kept)

        def rename() -> None:
            if wanted != account:
                # Grants follow the user.
                self.connections.execute(
                    f"Renaming user '{account}' to '{wanted}'", "RENAME USER %s@%s TO %s@%s", (*account, *wanted)
                )

        def is_renamed() -> bool:
            return wanted != account and self.user_exists(wanted) and not self.user_exists(account)

        steps = [
            Step("find the user", check, done=is_renamed),
            # First, because afterwards there is no user of that name.
            Step(
                "set the password",
                set_password,
                done=is_renamed,
                keep=lambda: self._kept_password(account),
                undo=lambda before: self._set_password(account, before) if before and kept is not None else None,
            ),
            Step("rename it", rename, done=is_renamed),
        ]
        self.guest.carry_out(Plan("change a user", steps))

    def grant_access(self, context: RequestContext, username: str, hostname: str | None, databases: list[str]) -> None:
        self.require_room()
        account = self._existing_user(username, hostname)
        for database in databases:
            if not self.database_exists(self.own_database(database)):
                raise NotFound(subject=f"Database {database!r}")
        self.guest.carry_out(Plan("grant access", [self._grant_step(account, databases)]))

    def revoke_access(self, context: RequestContext, username: str, hostname: str | None, database: str) -> None:
        account = self._existing_user(username, hostname)
        step = Step(
            "revoke it",
            lambda: self.grants.revoke(account, database),
            done=lambda: database not in self.grants.of([account])[account],
        )
        self.guest.carry_out(Plan("revoke access", [step]))

    def list_access(self, context: RequestContext, username: str, hostname: str | None = None) -> list[Database]:
        account = self._existing_user(username, hostname)
        return [Database(name) for name in self.grants.of([account])[account]]

    def login_requirement(self) -> str:
        """What every new user must show at its login, as the end of the statement that creates it."""
        return "REQUIRE NONE"

    def _creation(self, user: User) -> list[Step]:
        from guestagent_mariadb.passwords import digest

        account = Account(self._own_user_name(user.name), check_host(user.host))
        databases = [self.own_database(database.name) for database in user.databases]
        kept = digest(user.password, f"user '{account}'")

        def create() -> None:
            if self.user_exists(account):
                raise AlreadyExists(subject=f"User '{account}'")
            self.connections.execute(
                f"Creating user '{account}'",
                f"CREATE USER %s@%s IDENTIFIED BY PASSWORD %s {self.login_requirement()}",
                (*account, kept),
                {TOO_LONG: lambda words: InvalidValue(subject=f"The user '{account}'", problem=words)},
            )

        def drop(existed: bool | None) -> None:
            if not existed:
                self.connections.execute(f"Dropping user '{account}' again", "DROP USER IF EXISTS %s@%s", account)

        def exists() -> bool:
            return self.user_exists(account)

        return [Step("create it", create, exists, keep=exists, undo=drop), self._grant_step(account, databases)]

    def _grant_step(self, account: Account, databases: Sequence[str]) -> Step:
        def grant() -> None:
            for database in databases:
                self.grants.grant(account, database)

        return Step("grant it databases", grant)

    def _set_password(self, account: Account, kept: str) -> None:
        self.connections.execute(
            f"Changing the password of user '{account}'", "ALTER USER %s@%s IDENTIFIED BY PASSWORD %s", (*account, kept)
        )

    def _kept_password(self, account: Account) -> str | None:
        """What the server keeps of a password; none: it keeps none, or not such a one."""
        rows = self.connections.fetch(
            "Looking for a password",
            "SELECT authentication_string FROM mysql.user"
            " WHERE BINARY User = %s AND BINARY Host = %s AND plugin = 'mysql_native_password'",
            account,
        )
        return next((str(found) for (found,) in rows if found), None)

    def _own_user_name(self, name: str) -> str:
        refuse_reserved("user name", name, self.hidden_users)
        return check_user(name)

    def _existing_user(self, name: str, host: str | None) -> Account:
        """The visible user.

        :raises NotFound: there is none.
        """
        account = self._visible_user(name, host)
        if account is None:
            raise NotFound(subject=f"User '{name}@{host or ANYWHERE}'")
        return account

    def _visible_user(self, name: str, host: str | None) -> Account | None:
        """The user, unless it is hidden; those of the guest itself are the server's, the agent's or an operator's."""
        account = _account(name, host)
        if name in self.hidden_users or account.host == "localhost" or not self.user_exists(account):
            return None
        return account

    def user_exists(self, account: Account) -> bool:
        """Whether there is a user of exactly this name and host, hidden or not."""
        rows = self.connections.fetch(
            "Looking for a user", "SELECT 1 FROM mysql.user WHERE BINARY User = %s AND BINARY Host = %s", account
        )
        return bool(rows)


def _account(name: str, host: str | None) -> Account:
    return Account(name, (host or ANYWHERE).lower())


def _as_user(account: Account, databases: list[str]) -> User:
    return User(account.name, account.host, databases=[Database(name) for name in databases])
