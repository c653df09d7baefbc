"""Databases inside the server."""

import msgspec

from guestagent.contract.call import Capability, call
from guestagent.contract.context import RequestContext


class Database(msgspec.Struct, rename=lambda field: f"_{field}"):
    """A database as it travels: ``{"_name", "_character_set", "_collate"}``."""

    name: str
    character_set: str | None = None
    collate: str | None = None


class Databases(Capability):
    """Create, list and drop databases."""

    @call(cast=True, notifies=True, required=True)
    def create_database(self, context: RequestContext, databases: list[Database]) -> None:
        """Create the databases in the order given; the first that fails ends the call.

        :raises AlreadyExists: a database of that name exists.
        :raises InvalidValue: a name, character set or collation that the server cannot have.
        """

    @call(reads=True, required=True)
    def list_databases(
        self,
        context: RequestContext,
        limit: int | None = None,
        marker: str | None = None,
        include_marker: bool = False,
    ) -> tuple[list[Database], str | None]:
        """One page of the databases that users own, sorted by name.

        :param limit: the most that the page holds; none or 0: all.
        :param marker: the name to start after, or at when ``include_marker`` is true; it need not exist.
        :returns: the page, and the marker of the next one or none when this is the last.
        """

    @call(cast=True, notifies=True, required=True)
    def delete_database(self, context: RequestContext, database: Database) -> None:
        """Drop the database and everything in it.

        :raises NotFound: there is none of that name, as when the call is repeated.
        :raises InvalidValue: the name is reserved for the server.
        """
