"""Users: what the server knows of them, and how it is told."""

from collections.abc import Sequence

from guestagent.capabilities import paging
from guestagent.capabilities.users import Users
from guestagent.contract.context import RequestContext
from guestagent.contract.databases import Database
from guestagent.contract.errors import InvalidValue, NotFound
from guestagent.contract.users import ANYWHERE, User, is_anywhere
from guestagent_postgresql.connection import SUPERUSER, sendable
from guestagent_postgresql.databases import PostgreSQLDatabases
from guestagent_postgresql.identifiers import check_host, check_user, literal, quoted

RESERVED_NAME = "42939"
HOST = f"@{ANYWHERE}"


class PostgreSQLUsers(PostgreSQLDatabases, Users[str]):
    """Supports the capability *users*: roles that can log in, which have no hosts."""

    @property
    def hidden_users(self) -> frozenset[str]:
        """The users that are not the users'."""
        return frozenset({SUPERUSER, self.options.administrator, *self.options.ignore_users})

    def list_users(
        self,
        context: RequestContext,
        limit: int | None = None,
        marker: str | None = None,
        include_marker: bool = False,
    ) -> tuple[list[User], str | None]:
        # The control plane asks for ``name@%`` where it looks whether a user exists.
        page = paging.asked(limit, (marker or "").removesuffix(HOST), include_marker)
        rows = self.connections.fetch_page(
            "Listing users",
            'SELECT CAST(rolname AS text) COLLATE "C" AS name FROM pg_roles'
            " WHERE rolcanlogin AND NOT starts_with(rolname, 'pg_')",
            self.hidden_users,
            page,
        )
        names, next_marker = paging.cut([name for (name,) in rows], page, str)
        granted = self.granted(names)
        return [self.described(name, granted[name]) for name in names], next_marker

    def asked_account(self, name: str, host: str | None) -> str:
        return name

    def own_account(self, name: str, host: str | None) -> str:
        if name in self.hidden_users:
            raise InvalidValue(subject=f"The user name {name!r}", problem="it is reserved for the server or the agent")
        check_host(host)
        return check_user(name)

    def visible_account(self, name: str, host: str | None) -> str | None:
        if name in self.hidden_users or not is_anywhere(host) or "\0" in name:
            return None
        rows = self.connections.fetch(
            "Looking for a user",
            "SELECT 1 FROM pg_roles WHERE rolcanlogin AND NOT starts_with(rolname, 'pg_')"
            " AND CAST(rolname AS text) = :name",
            name=name,
        )
        return name if rows else None

    def account_exists(self, account: str) -> bool:
        # One that cannot log in has the name as well.
        rows = self.connections.fetch(
            "Looking for a user", "SELECT 1 FROM pg_roles WHERE CAST(rolname AS text) = :name", name=sendable(account)
        )
        return bool(rows)

    def described(self, account: str, databases: Sequence[str]) -> User:
        return User(account, ANYWHERE, databases=[Database(name) for name in databases])

    def digest(self, password: str | None, account: str) -> str:
        from guestagent_postgresql.passwords import verifier

        return verifier(password, f"user {account!r}")

    def create_account(self, account: str, kept: str) -> None:
        self.connections.execute(
            f"Creating user {account!r}",
            f"CREATE ROLE {quoted(account)} LOGIN PASSWORD {literal(kept)}",
            {RESERVED_NAME: lambda words: InvalidValue(subject=f"The user name {account!r}", problem=words)},
        )

    def drop_account(self, account: str) -> None:
        self.owners.drop(account)

    def rename_account(self, account: str, wanted: str) -> None:
        self.connections.execute(
            f"Renaming user {account!r} to {wanted!r}", f"ALTER ROLE {quoted(account)} RENAME TO {quoted(wanted)}"
        )

    def set_password(self, account: str, kept: str) -> None:
        self.connections.execute(
            f"Changing the password of user {account!r}", f"ALTER ROLE {quoted(account)} PASSWORD {literal(kept)}"
        )

    def kept_password(self, account: str) -> str | None:
        rows = self.connections.fetch(
            "Looking for a password",
            "SELECT rolpassword FROM pg_authid WHERE CAST(rolname AS text) = :name",
            name=sendable(account),
        )
        return rows[0][0] if rows else None

    def granted(self, accounts: Sequence[str]) -> dict[str, list[str]]:
        hidden = self.hidden_databases
        found = self.owners.granted(accounts)
        return {name: [one for one in databases if one not in hidden] for name, databases in found.items()}

    def grant(self, account: str, database: str) -> None:
        if not self.database_exists(self.own_database(database)):
            raise NotFound(subject=f"Database {database!r}")
        self.owners.grant(account, database)

    def revoke(self, account: str, database: str) -> None:
        self.owners.revoke(account, self.own_database(database))

    def set_login(self, name: str, kept: str, attributes: str = "") -> None:
        """Make a role that can log in, or let one that exists log in."""
        verb = "ALTER" if self.account_exists(name) else "CREATE"
        self.connections.execute(
            f"Letting user {name!r} log in",
            f"{verb} ROLE {quoted(name)} LOGIN {attributes} CONNECTION LIMIT -1 VALID UNTIL 'infinity'"
            f" PASSWORD {literal(kept)}",
        )
