"""Databases: create, list and drop."""

import functools

from guestagent.capabilities import paging
from guestagent.contract.context import RequestContext
from guestagent.contract.databases import Database
from guestagent.contract.errors import AlreadyExists, InvalidValue, NotFound
from guestagent.operations.plan import Plan, Step
from guestagent_mariadb.access import ServerAccess, refuse_reserved
from guestagent_mariadb.connection import Refusals
from guestagent_mariadb.identifiers import check_database, quoted

SYSTEM_DATABASES = frozenset({"information_schema", "mysql", "performance_schema", "sys", "lost+found"})

LONGEST_SHOWN = 64
"""Letters of a name in the name of a step: what is too long for the server is so for the journal."""

EXISTS = 1007
UNKNOWN = 1008
WRONG_NAME = 1102
UNKNOWN_CHARACTER_SET = 1115
MISMATCHED_COLLATION = 1253
UNKNOWN_COLLATION = 1273
NO_DIRECTORY = 13
"""The directory of a database would have too long a name: a letter can take five characters there."""


class MariaDBDatabases(ServerAccess):
    """Supports the capability *databases*.

    A list is created in its order. The one that fails ends the call; those before it stay, and the
    control plane is told which one failed.
    """

    @property
    def hidden_databases(self) -> frozenset[str]:
        """The databases that are not the users'."""
        return SYSTEM_DATABASES | frozenset(self.options.ignore_dbs)

    def create_database(self, context: RequestContext, databases: list[Database]) -> None:
        self.require_room()
        steps = [
            Step(
                f"create database {number}: {database.name[:LONGEST_SHOWN]!r}",
                functools.partial(self._create, database),
                require=functools.partial(self._require_new, database.name),
                done=functools.partial(self.database_exists, database.name),
            )
            for number, database in enumerate(databases, 1)
        ]
        self.guest.carry_out(Plan("create databases", steps))

    def list_databases(
        self,
        context: RequestContext,
        limit: int | None = None,
        marker: str | None = None,
        include_marker: bool = False,
    ) -> tuple[list[Database], str | None]:
        page = paging.asked(limit, marker, include_marker)
        rows = self.connections.fetch(
            "Listing databases",
            "SELECT schema_name, default_character_set_name, default_collation_name FROM information_schema.schemata"
            " WHERE BINARY schema_name NOT IN %s"
            " AND (BINARY schema_name > %s OR %s AND BINARY schema_name = %s)"
            " ORDER BY BINARY schema_name LIMIT %s",
            (sorted(self.hidden_databases), page.marker, page.at_marker, page.marker, page.rows),
        )
        return paging.cut([Database(*row) for row in rows], page, lambda database: database.name)

    def delete_database(self, context: RequestContext, database: Database) -> None:
        name = self.own_database(database.name)
        subject = f"Database {name!r}"

        def drop() -> None:
            self.connections.execute(
                f"Dropping database {name!r}",
                f"DROP DATABASE {quoted(name)}",
                refusals={UNKNOWN: lambda words: NotFound(subject=subject)},
            )

        step = Step("drop it", drop, done=lambda: not self.database_exists(name))
        self.guest.carry_out(Plan("drop a database", [step]))

    def own_database(self, name: str) -> str:
        """The name, if a database of a user can have it.

        :raises InvalidValue: it cannot.
        """
        refuse_reserved("database name", name, self.hidden_databases)
        return check_database(name)

    def database_exists(self, name: str) -> bool:
        """Whether there is a database of exactly this name."""
        rows = self.connections.fetch(
            f"Looking for database {name!r}",
            "SELECT 1 FROM information_schema.schemata WHERE BINARY schema_name = %s",
            (name,),
        )
        return bool(rows)

    def _require_new(self, name: str) -> None:
        if self.database_exists(self.own_database(name)):
            raise AlreadyExists(subject=f"Database {name!r}")

    def _create(self, database: Database) -> None:
        name = self.own_database(database.name)
        statement, values = f"CREATE DATABASE {quoted(name)}", []
        if database.character_set:
            statement += " CHARACTER SET %s"
            values.append(database.character_set)
        if database.collate:
            statement += " COLLATE %s"
            values.append(database.collate)
        self.connections.execute(f"Creating database {name!r}", statement, values, _refusals(f"Database {name!r}"))


def _refusals(subject: str) -> Refusals:
    def invalid(words: str) -> InvalidValue:
        return InvalidValue(subject=subject, problem=words)

    refused = (WRONG_NAME, UNKNOWN_CHARACTER_SET, MISMATCHED_COLLATION, UNKNOWN_COLLATION, NO_DIRECTORY)
    return {EXISTS: lambda words: AlreadyExists(subject=subject), **dict.fromkeys(refused, invalid)}
