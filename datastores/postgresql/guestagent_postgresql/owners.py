"""The roles that own the users' databases, and through which users may do everything there.

A database belongs to a role of its own that nobody can log in as. Who was granted the database is a member of that
role and acts as it there, so that what one user makes is everybody's who was granted the database, and dropping a user
leaves nothing behind that would have to go to somebody else.
"""

from collections.abc import Collection

from guestagent.contract.errors import NotFound
from guestagent_postgresql.connection import Connections
from guestagent_postgresql.identifiers import OWNERS, owner_name, quoted

_ACCESS = """
SELECT CAST(r.rolname AS text), CAST(d.datname AS text)
FROM pg_database d JOIN pg_roles r ON r.oid IN (
    SELECT m.member FROM pg_auth_members m WHERE m.roleid = d.datdba
    UNION SELECT a.grantee FROM aclexplode(d.datacl) a
    UNION SELECT d.datdba
)
WHERE NOT d.datistemplate AND CAST(r.rolname AS text) = ANY(CAST(:names AS text[]))
"""
"""Members of a database's owner, who was granted something on it otherwise, and its owner where that is a user."""


class Owners:
    """The owning roles, and who may act as them."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def make(self, database: str) -> str:
        """Make the role that is to own a new database.

        :returns: its name.
        """
        name = owner_name(database)
        rows = self._connections.fetch(
            "Looking for an owner",
            "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datdba = r.oid) FROM pg_roles r"
            " WHERE CAST(rolname AS text) = :name",
            name=name,
        )
        if rows and rows[0][0]:
            # Of a database that was renamed, or has a name that begins as this one.
            import secrets

            suffix = f"_{secrets.token_hex(4)}"
            name = owner_name(database)[: -len(suffix)] + suffix
        elif rows:
            # Its database is gone, and its members must not reach the new one.
            self.drop(name)
        self._connections.execute(f"Making the owner of database {database!r}", f"CREATE ROLE {quoted(name)} NOLOGIN")
        return name

    def of(self, database: str) -> str | None:
        """The role that owns a database in this way; none: it has another owner, or there is no such database."""
        rows = self._connections.fetch(
            f"Looking for the owner of database {database!r}",
            "SELECT CAST(r.rolname AS text) FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba"
            " WHERE CAST(d.datname AS text) = :database AND NOT r.rolcanlogin AND starts_with(r.rolname, :prefix)",
            database=database,
            prefix=OWNERS,
        )
        return rows[0][0] if rows else None

    def grant(self, user: str, database: str) -> None:
        """Let the user do everything in the database; repeating it is safe."""
        owner = self.of(database) or self._adopt(database)
        subject = f"Granting database {database!r} to user {user!r}"
        self._connections.execute(subject, f"GRANT {quoted(owner)} TO {quoted(user)}")
        self._connections.execute(
            subject, f"ALTER ROLE {quoted(user)} IN DATABASE {quoted(database)} SET role TO {quoted(owner)}"
        )

    def revoke(self, user: str, database: str) -> None:
        """Take everything from the user that it was granted on the database.

        :raises NotFound: it was granted nothing.
        """
        if database not in self.granted([user])[user]:
            raise NotFound(subject=f"Access of user {user!r} to database {database!r}")
        subject = f"Revoking database {database!r} from user {user!r}"
        if owner := self.of(database):
            self._connections.execute(subject, f"REVOKE {quoted(owner)} FROM {quoted(user)}")
            self._connections.execute(subject, f"ALTER ROLE {quoted(user)} IN DATABASE {quoted(database)} RESET role")
        else:
            # It may be the owner itself, of data that came from elsewhere.
            self._adopt(database, heirs=False)
        self._connections.execute(subject, f"REVOKE ALL PRIVILEGES ON DATABASE {quoted(database)} FROM {quoted(user)}")

    def granted(self, users: Collection[str]) -> dict[str, list[str]]:
        """The databases on which each of the users has been granted something, sorted."""
        rows = self._connections.fetch("Reading grants", _ACCESS, names=list(users)) if users else []
        found: dict[str, set[str]] = {user: set() for user in users}
        for user, database in rows:
            found[user].add(database)
        return {user: sorted(databases, key=str.encode) for user, databases in found.items()}

    def drop(self, role: str) -> None:
        """Drop a role; what it owns goes to the owners of the databases where it is, and its grants are gone."""
        for database, heir in self._connections.fetch(
            f"Looking for what role {role!r} has",
            "SELECT DISTINCT CAST(d.datname AS text), CAST(pg_get_userbyid(d.datdba) AS text)"
            " FROM pg_shdepend s JOIN pg_roles r ON s.refclassid = 'pg_authid'::regclass AND s.refobjid = r.oid"
            " JOIN pg_database d ON d.oid = CASE WHEN s.dbid <> 0 THEN s.dbid"
            "  WHEN s.classid = 'pg_database'::regclass THEN s.objid END"
            " WHERE CAST(r.rolname AS text) = :role",
            role=role,
        ):
            heir = quoted(heir) if heir != role else "CURRENT_USER"
            subject = f"Taking what role {role!r} has in database {database!r}"
            self._connections.execute(subject, f"REASSIGN OWNED BY {quoted(role)} TO {heir}", database=database)
            self._connections.execute(subject, f"DROP OWNED BY {quoted(role)}", database=database)
        self._connections.execute(f"Dropping role {role!r}", f"DROP ROLE {quoted(role)}")

    def _adopt(self, database: str, heirs: bool = True) -> str:
        """Give a database that came from elsewhere an owner of this kind.

        :param heirs: whether its owner, if that is a user, may go on doing everything there.
        """
        subject = f"Changing the owner of database {database!r}"
        rows = self._connections.fetch(
            subject,
            "SELECT CAST(r.rolname AS text) FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba"
            " WHERE CAST(d.datname AS text) = :database AND NOT r.rolsuper",
            database=database,
        )
        owner = self.make(database)
        self._connections.execute(subject, f"ALTER DATABASE {quoted(database)} OWNER TO {quoted(owner)}")
        for (former,) in rows if heirs else []:
            # As itself, because its tables stay its own.
            self._connections.execute(subject, f"GRANT {quoted(owner)} TO {quoted(former)}")
        return owner
