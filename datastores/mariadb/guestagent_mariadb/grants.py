"""What users may do with databases."""

from collections import defaultdict
from collections.abc import Collection
from typing import NamedTuple

from guestagent.contract.errors import NotFound
from guestagent_mariadb.connection import Connections
from guestagent_mariadb.identifiers import database_of, literal_pattern, quoted


class Account(NamedTuple):
    """A user and the host from which it may log in, as the server keeps both."""

    name: str
    host: str

    def __str__(self) -> str:
        return f"{self.name}@{self.host}"


class Grants:
    """Privileges on whole databases.

    A grant names a pattern. What the agent grants means one database and nothing like it; what others
    granted is shown under the name that its pattern stands for.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def grant(self, account: Account, database: str) -> None:
        """Give the user all privileges on the database; repeating it is safe.

        :raises InvalidValue: the server cannot keep a grant for the name.
        """
        self._connections.execute(
            f"Granting database {database!r} to user '{account}'",
            f"GRANT ALL PRIVILEGES ON {quoted(literal_pattern(database))}.* TO %s@%s",
            account,
        )

    def revoke(self, account: Account, database: str) -> None:
        """Take all privileges on the database from the user.

        :raises NotFound: the user has none there.
        """
        rows = self._connections.fetch(
            "Reading grants",
            "SELECT Db, Grant_priv FROM mysql.db WHERE BINARY User = %s AND BINARY Host = %s",
            account,
        )
        held = [(pattern, may_grant) for pattern, may_grant in rows if database_of(pattern) == database]
        if not held:
            raise NotFound(subject=f"Access of user '{account}' to database {database!r}")
        subject = f"Revoking database {database!r} from user '{account}'"
        for pattern, may_grant in held:
            if may_grant == "Y":
                self._connections.execute(subject, f"REVOKE GRANT OPTION ON {quoted(pattern)}.* FROM %s@%s", account)
            self._connections.execute(subject, f"REVOKE ALL PRIVILEGES ON {quoted(pattern)}.* FROM %s@%s", account)

    def of(self, accounts: Collection[Account]) -> dict[Account, list[str]]:
        """The databases on which each of the users has been granted something, sorted."""
        if not accounts:
            return {}
        rows = self._connections.fetch(
            "Reading grants",
            "SELECT User, Host, Db FROM mysql.db WHERE BINARY User IN %s",
            ([account.name for account in accounts],),
        )
        found: defaultdict[Account, set[str]] = defaultdict(set)
        for user, host, pattern in rows:
            found[Account(user, host)].add(database_of(pattern))
        return {account: sorted(found[account]) for account in accounts}
