"""Users of the database server, and what they may reach."""

import msgspec

from guestagent.contract.call import Capability, call
from guestagent.contract.context import RequestContext
from guestagent.contract.databases import Database

ANYWHERE = "%"
"""The host of a user who may come from every host."""


def is_anywhere(host: str | None) -> bool:
    """Whether a host, as it is said or left out, is every host."""
    return host in (None, "", ANYWHERE)


class User(msgspec.Struct, rename=lambda field: f"_{field}"):
    """A user as it travels: ``{"_name", "_host", "_password", "_databases", "_is_root"}``.

    The agent never sends a password back, but for a root user that was just enabled.
    """

    name: str
    host: str | None = None
    password: str | None = None
    databases: list[Database] = []
    is_root: bool = False

    def __repr__(self) -> str:
        return f"User({self.name!r}, {self.host!r})"


class PasswordChange(msgspec.Struct):
    """A new password for an existing user; its keys travel without the underscore."""

    name: str
    password: str
    host: str | None = None

    def __repr__(self) -> str:
        return f"PasswordChange({self.name!r}, {self.host!r})"


class UserAttributes(msgspec.Struct):
    """What to change of a user; absent or null: leave as it is."""

    name: str | None = None
    password: str | None = None
    host: str | None = None

    def __repr__(self) -> str:
        return f"UserAttributes({self.name!r}, {self.host!r})"


class Users(Capability):
    """Create, change, list and drop users; grant and revoke."""

    @call(cast=True, notifies=True, required=True)
    def create_user(self, context: RequestContext, users: list[User]) -> None:
        """Create the users and grant each all privileges on its databases.

        :raises AlreadyExists: a user of that name and host exists.
        :raises InvalidValue: a name, host or password that the server cannot have.
        """

    @call(reads=True, required=True)
    def list_users(
        self,
        context: RequestContext,
        limit: int | None = None,
        marker: str | None = None,
        include_marker: bool = False,
    ) -> tuple[list[User], str | None]:
        """One page of the users, sorted by their marker.

        :param limit: the most that the page holds; none or 0: all.
        :param marker: ``name@host`` where users have hosts, ``name`` elsewhere; to start after, or at
            when ``include_marker`` is true; it need not exist.
        :returns: the page, and the marker of the next one or none when this is the last.
        """

    @call(reads=True, required=True)
    def get_user(self, context: RequestContext, username: str, hostname: str | None = None) -> User | None:
        """The user with its databases, or none when there is no such user."""

    @call(cast=True, notifies=True, required=True)
    def delete_user(self, context: RequestContext, user: User) -> None:
        """Drop the user.

        :raises NotFound: there is no such user, as when the call is repeated.
        """

    @call(cast=True, notifies=True, repeatable=True)
    def change_passwords(self, context: RequestContext, users: list[PasswordChange]) -> None:
        """Give existing users new passwords.

        :raises NotFound: one of them does not exist.
        """

    @call(cast=True, notifies=True)
    def update_attributes(
        self, context: RequestContext, username: str, hostname: str | None, user_attrs: UserAttributes
    ) -> None:
        """Rename a user, move it to another host, or give it a new password.

        :raises NotFound: there is no such user, as when a renaming is repeated.
        """

    @call(repeatable=True)
    def grant_access(self, context: RequestContext, username: str, hostname: str | None, databases: list[str]) -> None:
        """Grant a user all privileges on the databases, by their names.

        :raises NotFound: the user or a database does not exist.
        """

    @call()
    def revoke_access(self, context: RequestContext, username: str, hostname: str | None, database: str) -> None:
        """Take all privileges on the database from the user.

        :raises NotFound: the user does not exist or has no privilege there, as when the call is repeated.
        """

    @call(reads=True)
    def list_access(self, context: RequestContext, username: str, hostname: str | None = None) -> list[Database]:
        """The databases on which the user has been granted something.

        :raises NotFound: there is no such user.
        """
