"""Users: create, change, list and drop; grant and revoke."""

from collections.abc import Sequence

from guestagent.capabilities import paging
from guestagent.contract.context import RequestContext
from guestagent.contract.databases import Database
from guestagent.contract.errors import AlreadyExists, InvalidValue, NotFound
from guestagent.contract.users import ANYWHERE, PasswordChange, User, UserAttributes, is_anywhere
from guestagent.operations.plan import Plan, Step
from guestagent_postgresql.connection import SUPERUSER, sendable
from guestagent_postgresql.databases import PostgreSQLDatabases
from guestagent_postgresql.identifiers import check_host, check_user, literal, quoted
from guestagent_postgresql.passwords import verifier

RESERVED_NAME = "42939"
HOST = f"@{ANYWHERE}"


class PostgreSQLUsers(PostgreSQLDatabases):
    """Supports the capability *users*: roles that can log in.

    A list is created in its order, each user with all its grants or not at all. The one that fails ends
    the call; those before it stay, and the control plane is told which one failed.
    """

    @property
    def hidden_users(self) -> frozenset[str]:
        """The users that are not the users'."""
        return frozenset({SUPERUSER, self.options.administrator, *self.options.ignore_users})

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
        granted = self._granted(names)
        return [_as_user(name, granted[name]) for name in names], next_marker

    def get_user(self, context: RequestContext, username: str, hostname: str | None = None) -> User | None:
        if not self._is_visible(username, hostname):
            return None
        return _as_user(username, self._granted([username])[username])

    def delete_user(self, context: RequestContext, user: User) -> None:
        step = Step(
            "drop it",
            lambda: self.owners.drop(self._existing_user(user.name, user.host)),
            done=lambda: not self._is_visible(user.name, user.host),
        )
        self.guest.carry_out(Plan("drop a user", [step]))

    def change_passwords(self, context: RequestContext, users: list[PasswordChange]) -> None:
        self.require_room()
        changes = [(self._existing_user(user.name, user.host), user.password) for user in users]
        verifiers = [(name, verifier(password, f"user {name!r}")) for name, password in changes]

        def change() -> None:
            for name, kept in verifiers:
                self._set_password(name, kept)

        self.guest.carry_out(Plan("change passwords", [Step("change them", change)]))

    def update_attributes(
        self, context: RequestContext, username: str, hostname: str | None, user_attrs: UserAttributes
    ) -> None:
        self.require_room()
        check_host(user_attrs.host)
        wanted = username if user_attrs.name is None else self._own_user_name(user_attrs.name)
        kept = None if user_attrs.password is None else verifier(user_attrs.password, f"user {username!r}")

        def check() -> None:
            self._existing_user(username, hostname)
            if wanted != username and self.user_exists(wanted):
                raise AlreadyExists(subject=f"User {wanted!r}")

        def change() -> None:
            if kept is not None:
                self._set_password(username, kept)
            if wanted != username:
                # Grants follow the user.
                self.connections.execute(
                    f"Renaming user {username!r} to {wanted!r}",
                    f"ALTER ROLE {quoted(username)} RENAME TO {quoted(wanted)}",
                )

        def is_renamed() -> bool:
            return wanted != username and self.user_exists(wanted) and not self.user_exists(username)

        def change_back(before: str | None) -> None:
            if before and kept is not None and self.user_exists(username):
                self._set_password(username, before)

        steps = [
            Step("find the user", check, done=is_renamed),
            Step("change it", change, done=is_renamed, keep=lambda: self._kept_password(username), undo=change_back),
        ]
        self.guest.carry_out(Plan("change a user", steps))

    def grant_access(self, context: RequestContext, username: str, hostname: str | None, databases: list[str]) -> None:
        self.require_room()
        name = self._existing_user(username, hostname)
        for database in databases:
            self._require_database(database)
        self.guest.carry_out(Plan("grant access", [self._grant_step(name, databases)]))

    def revoke_access(self, context: RequestContext, username: str, hostname: str | None, database: str) -> None:
        name = self._existing_user(username, hostname)
        step = Step(
            "revoke it",
            lambda: self.owners.revoke(name, self.own_database(database)),
            done=lambda: database not in self._granted([name])[name],
        )
        self.guest.carry_out(Plan("revoke access", [step]))

    def list_access(self, context: RequestContext, username: str, hostname: str | None = None) -> list[Database]:
        name = self._existing_user(username, hostname)
        return [Database(database) for database in self._granted([name])[name]]

    def user_exists(self, name: str) -> bool:
        """Whether there is a role of exactly this name, hidden or not, that can log in or not."""
        rows = self.connections.fetch(
            "Looking for a user", "SELECT 1 FROM pg_roles WHERE CAST(rolname AS text) = :name", name=sendable(name)
        )
        return bool(rows)

    def set_login(self, name: str, kept: str, attributes: str = "") -> None:
        """Make a role that can log in, or let one that exists log in."""
        verb = "ALTER" if self.user_exists(name) else "CREATE"
        self.connections.execute(
            f"Letting user {name!r} log in",
            f"{verb} ROLE {quoted(name)} LOGIN {attributes} CONNECTION LIMIT -1 VALID UNTIL 'infinity'"
            f" PASSWORD {literal(kept)}",
        )

    def _creation(self, user: User) -> list[Step]:
        name = self._own_user_name(user.name)
        check_host(user.host)
        databases = [database.name for database in user.databases]
        kept = verifier(user.password, f"user {name!r}")

        def create() -> None:
            if self.user_exists(name):
                raise AlreadyExists(subject=f"User {name!r}")
            self.connections.execute(
                f"Creating user {name!r}",
                f"CREATE ROLE {quoted(name)} LOGIN PASSWORD {literal(kept)}",
                {RESERVED_NAME: lambda words: InvalidValue(subject=f"The user name {name!r}", problem=words)},
            )

        def drop(existed: bool | None) -> None:
            if not existed and self.user_exists(name):
                self.owners.drop(name)

        def exists() -> bool:
            return self.user_exists(name)

        return [Step("create it", create, exists, keep=exists, undo=drop), self._grant_step(name, databases)]

    def _grant_step(self, name: str, databases: Sequence[str]) -> Step:
        def grant() -> None:
            for database in databases:
                self._require_database(database)
                self.owners.grant(name, database)

        return Step("grant it databases", grant)

    def _require_database(self, name: str) -> None:
        """See that there is such a database of the users'.

        :raises NotFound: there is none.
        """
        if not self.database_exists(self.own_database(name)):
            raise NotFound(subject=f"Database {name!r}")

    def _granted(self, names: Sequence[str]) -> dict[str, list[str]]:
        hidden = self.hidden_databases
        granted = self.owners.granted(names)
        return {name: [one for one in databases if one not in hidden] for name, databases in granted.items()}

    def _set_password(self, name: str, kept: str) -> None:
        self.connections.execute(
            f"Changing the password of user {name!r}", f"ALTER ROLE {quoted(name)} PASSWORD {literal(kept)}"
        )

    def _kept_password(self, name: str) -> str | None:
        """What the server keeps of a password; none: it keeps none."""
        rows = self.connections.fetch(
            "Looking for a password",
            "SELECT rolpassword FROM pg_authid WHERE CAST(rolname AS text) = :name",
            name=sendable(name),
        )
        return rows[0][0] if rows else None

    def _own_user_name(self, name: str) -> str:
        if name in self.hidden_users:
            raise InvalidValue(subject=f"The user name {name!r}", problem="it is reserved for the server or the agent")
        return check_user(name)

    def _existing_user(self, name: str, host: str | None) -> str:
        """The name of a visible user.

        :raises NotFound: there is none.
        """
        if not self._is_visible(name, host):
            raise NotFound(subject=f"User '{name}@{host or ANYWHERE}'")
        return name

    def _is_visible(self, name: str, host: str | None) -> bool:
        """Whether there is such a user, and it is not hidden."""
        if name in self.hidden_users or not is_anywhere(host) or "\0" in name:
            return False
        rows = self.connections.fetch(
            "Looking for a user",
            "SELECT 1 FROM pg_roles WHERE rolcanlogin AND NOT starts_with(rolname, 'pg_')"
            " AND CAST(rolname AS text) = :name",
            name=name,
        )
        return bool(rows)


def _as_user(name: str, databases: list[str]) -> User:
    return User(name, ANYWHERE, databases=[Database(database) for database in databases])
