"""Users: what the server knows of them, and how it is told."""

from collections.abc import Sequence

from guestagent.capabilities import paging
from guestagent.capabilities.users import Users
from guestagent.contract.context import RequestContext
from guestagent.contract.databases import Database
from guestagent.contract.errors import InvalidValue
from guestagent.contract.users import ANYWHERE, User
from guestagent.guest import Guest
from guestagent_mariadb.access import refuse_reserved
from guestagent_mariadb.databases import MariaDBDatabases
from guestagent_mariadb.grants import Account, Grants
from guestagent_mariadb.identifiers import check_host, check_user

SYSTEM_USERS = frozenset({"", "root", "mysql", "mariadb.sys"})
TOO_LONG = 1470


class MariaDBUsers(MariaDBDatabases, Users[Account]):
    """Supports the capability *users*."""

    def __init__(self, guest: Guest) -> None:
        super().__init__(guest)
        self.grants = Grants(self.connections)

    @property
    def hidden_users(self) -> frozenset[str]:
        """The users that are not the users'."""
        return SYSTEM_USERS | {self.administrator.name} | frozenset(self.options.ignore_users)

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
        return [self.described(account, granted[account]) for account in accounts], next_marker

    def login_requirement(self) -> str:
        """What every new user must show at its login, as the end of the statement that creates it."""
        return "REQUIRE NONE"

    def asked_account(self, name: str, host: str | None) -> Account:
        return Account(name, (host or ANYWHERE).lower())

    def own_account(self, name: str, host: str | None) -> Account:
        refuse_reserved("user name", name, self.hidden_users)
        return Account(check_user(name), check_host(host))

    def visible_account(self, name: str, host: str | None) -> Account | None:
        account = self.asked_account(name, host)
        # Those of the guest itself are the server's, the agent's or an operator's.
        if name in self.hidden_users or account.host == "localhost" or not self.account_exists(account):
            return None
        return account

    def account_exists(self, account: Account) -> bool:
        rows = self.connections.fetch(
            "Looking for a user", "SELECT 1 FROM mysql.user WHERE BINARY User = %s AND BINARY Host = %s", account
        )
        return bool(rows)

    def described(self, account: Account, databases: Sequence[str]) -> User:
        return User(account.name, account.host, databases=[Database(name) for name in databases])

    def digest(self, password: str | None, account: Account) -> str:
        from guestagent_mariadb.passwords import digest

        return digest(password, f"user '{account}'")

    def create_account(self, account: Account, kept: str) -> None:
        self.connections.execute(
            f"Creating user '{account}'",
            f"CREATE USER %s@%s IDENTIFIED BY PASSWORD %s {self.login_requirement()}",
            (*account, kept),
            {TOO_LONG: lambda words: InvalidValue(subject=f"The user '{account}'", problem=words)},
        )

    def drop_account(self, account: Account) -> None:
        self.connections.execute(f"Dropping user '{account}'", "DROP USER %s@%s", account)

    def rename_account(self, account: Account, wanted: Account) -> None:
        self.connections.execute(
            f"Renaming user '{account}' to '{wanted}'", "RENAME USER %s@%s TO %s@%s", (*account, *wanted)
        )

    def set_password(self, account: Account, kept: str) -> None:
        self.connections.execute(
            f"Changing the password of user '{account}'", "ALTER USER %s@%s IDENTIFIED BY PASSWORD %s", (*account, kept)
        )

    def kept_password(self, account: Account) -> str | None:
        rows = self.connections.fetch(
            "Looking for a password",
            "SELECT authentication_string FROM mysql.user"
            " WHERE BINARY User = %s AND BINARY Host = %s AND plugin = 'mysql_native_password'",
            account,
        )
        return next((str(found) for (found,) in rows if found), None)

    def granted(self, accounts: Sequence[Account]) -> dict[Account, list[str]]:
        return self.grants.of(accounts)

    def grant(self, account: Account, database: str) -> None:
        self.grants.grant(account, database)

    def revoke(self, account: Account, database: str) -> None:
        self.grants.revoke(account, database)
