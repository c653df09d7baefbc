"""The superuser that the owner of the instance may ask for: postgres, from anywhere."""

from guestagent.contract.context import RequestContext
from guestagent.contract.users import User
from guestagent.operations.plan import Plan, Step
from guestagent_postgresql.connection import SUPERUSER
from guestagent_postgresql.identifiers import ANYWHERE, quoted
from guestagent_postgresql.passwords import verifier
from guestagent_postgresql.users import PostgreSQLUsers


class PostgreSQLRoot(PostgreSQLUsers):
    """Supports the capability *root*.

    The role is there from the beginning and has no password, so that nobody can log in as it but on the guest.
    Disabling takes the password away again; what the role owns goes on working.
    """

    def enable_root(self, context: RequestContext) -> User:
        return self.enable_root_with_password(context)

    def enable_root_with_password(self, context: RequestContext, root_password: str | None = None) -> User:
        from guestagent.system.passwords import generated

        self.require_room()
        password = root_password or generated()
        kept = verifier(password, SUPERUSER)
        step = Step(
            "let it in",
            lambda: self.set_login(SUPERUSER, kept, "SUPERUSER CREATEDB CREATEROLE REPLICATION BYPASSRLS"),
            keep=lambda: self.is_root_enabled(context),
            undo=lambda was_enabled: None if was_enabled else self._lock_root(),
        )
        self.guest.carry_out(Plan("enable root", [step]))
        return User(SUPERUSER, ANYWHERE, password=password, is_root=True)

    def disable_root(self, context: RequestContext) -> None:
        self.guest.carry_out(Plan("disable root", [Step("lock it out", self._lock_root)]))

    def is_root_enabled(self, context: RequestContext) -> bool:
        return self._kept_password(SUPERUSER) is not None

    def _lock_root(self) -> None:
        if self.user_exists(SUPERUSER):
            self.connections.execute("Disabling root", f"ALTER ROLE {quoted(SUPERUSER)} PASSWORD NULL")
