"""Databases: create, list and drop."""

import functools

from guestagent.capabilities import paging
from guestagent.contract.context import RequestContext
from guestagent.contract.databases import Database
from guestagent.contract.errors import AlreadyExists, GuestAgentError, InvalidValue, NotFound
from guestagent.guest import Guest
from guestagent.operations.plan import Plan, Step
from guestagent_postgresql.access import ServerAccess
from guestagent_postgresql.connection import Refusals
from guestagent_postgresql.identifiers import check_database, literal, quoted
from guestagent_postgresql.owners import Owners

SYSTEM_DATABASES = frozenset({"postgres", "template0", "template1"})

EXISTS = "42P04"
UNKNOWN = "3D000"
REFUSED = ("22023", "42602", "42704", "42809", "0A000")
"""An encoding or locale that does not exist, or two that do not fit each other."""


class PostgreSQLDatabases(ServerAccess):
    """Supports the capability *databases*.

    A list is created in its order. The one that fails ends the call and leaves nothing behind; those before it stay,
    and the control plane is told which one failed.
    """

    def __init__(self, guest: Guest) -> None:
        super().__init__(guest)
        self.owners = Owners(self.connections)

    @property
    def hidden_databases(self) -> frozenset[str]:
        """The databases that are not the users'."""
        return SYSTEM_DATABASES | frozenset(self.options.ignore_dbs)

    def create_database(self, context: RequestContext, databases: list[Database]) -> None:
        self.require_room()
        for number, database in enumerate(databases, 1):
            name = self.own_database(database.name)
            step = Step(
                "create it",
                functools.partial(self._create, database),
                require=functools.partial(self._require_new, name),
                done=functools.partial(self._is_complete, name),
                keep=functools.partial(self.database_exists, name),
                undo=functools.partial(self._take_back, name),
            )
            self.guest.carry_out(Plan(f"create database {number}: {name!r}", [step]))

    def list_databases(
        self,
        context: RequestContext,
        limit: int | None = None,
        marker: str | None = None,
        include_marker: bool = False,
    ) -> tuple[list[Database], str | None]:
        page = paging.asked(limit, marker, include_marker)
        rows = self.connections.fetch_page(
            "Listing databases",
            'SELECT CAST(datname AS text) COLLATE "C" AS name, pg_encoding_to_char(encoding), CAST(datcollate AS text)'
            " FROM pg_database WHERE NOT datistemplate",
            self.hidden_databases,
            page,
        )
        return paging.cut([Database(*row) for row in rows], page, lambda database: database.name)

    def delete_database(self, context: RequestContext, database: Database) -> None:
        name = self.own_database(database.name)
        step = Step(
            "drop it",
            lambda: self._drop(name),
            done=lambda: not self.database_exists(name),
        )
        self.guest.carry_out(Plan("drop a database", [step]))

    def own_database(self, name: str) -> str:
        """The name, if a database of a user can have it.

        :raises InvalidValue: it cannot.
        """
        if name in self.hidden_databases:
            raise InvalidValue(
                subject=f"The database name {name!r}", problem="it is reserved for the server or the agent"
            )
        return check_database(name)

    def database_exists(self, name: str) -> bool:
        """Whether there is a database of exactly this name."""
        rows = self.connections.fetch(
            f"Looking for database {name!r}",
            "SELECT 1 FROM pg_database WHERE CAST(datname AS text) = :name",
            name=name,
        )
        return bool(rows)

    def _require_new(self, name: str) -> None:
        if self.database_exists(name):
            raise AlreadyExists(subject=f"Database {name!r}")

    def _create(self, database: Database) -> None:
        name = database.name
        if not self.database_exists(name):
            self._create_owned(database)
        # Everybody could connect, and make temporary tables, without having been granted anything.
        self.connections.execute(
            f"Closing database {name!r}", f"REVOKE ALL PRIVILEGES ON DATABASE {quoted(name)} FROM PUBLIC"
        )

    def _create_owned(self, database: Database) -> None:
        owner = self.owners.make(database.name)
        statement = f"CREATE DATABASE {quoted(database.name)} OWNER {quoted(owner)}"
        if database.character_set or database.collate:
            # The other template may hold data that only suits its own encoding and locale.
            statement += " TEMPLATE template0"
        if database.character_set:
            statement += f" ENCODING {literal(database.character_set)}"
        if database.collate:
            statement += f" LOCALE {literal(database.collate)}"
        subject = f"Database {database.name!r}"
        try:
            self.connections.execute(f"Creating database {database.name!r}", statement, _refusals(subject))
        except GuestAgentError:
            self.owners.drop(owner)
            raise

    def _is_complete(self, name: str) -> bool:
        rows = self.connections.fetch(
            f"Looking for database {name!r}",
            "SELECT datacl IS NOT NULL FROM pg_database WHERE CAST(datname AS text) = :name",
            name=name,
        )
        return bool(rows and rows[0][0])

    def _take_back(self, name: str, existed: bool | None) -> None:
        if not existed and self.database_exists(name):
            self._drop(name)

    def _drop(self, name: str) -> None:
        owner = self.owners.of(name)
        self.connections.execute(
            f"Dropping database {name!r}",
            # Clients that are connected have no say in it.
            f"DROP DATABASE {quoted(name)} WITH (FORCE)",
            {UNKNOWN: lambda words: NotFound(subject=f"Database {name!r}")},
        )
        if owner:
            self.owners.drop(owner)


def _refusals(subject: str) -> Refusals:
    def invalid(words: str) -> InvalidValue:
        return InvalidValue(subject=subject, problem=words)

    return {EXISTS: lambda words: AlreadyExists(subject=subject), **dict.fromkeys(REFUSED, invalid)}
