"""The superuser that the owner of the instance may ask for: postgres, from anywhere."""

from guestagent.capabilities.root import RootUser
from guestagent.contract.context import RequestContext
from guestagent.operations.plan import Step
from guestagent_postgresql.connection import SUPERUSER
from guestagent_postgresql.identifiers import quoted
from guestagent_postgresql.users import PostgreSQLUsers


class PostgreSQLRoot(RootUser, PostgreSQLUsers):
    """Supports the capability *root*.

    The role is there from the beginning and has no password, so that nobody can log in as it but on the guest.
    Disabling takes the password away again; what the role owns goes on working.
    """

    root_name = SUPERUSER

    def root_step(self, password: str) -> Step:
        from guestagent_postgresql.passwords import verifier

        kept = verifier(password, SUPERUSER)
        return Step(
            "let root in",
            lambda: self.set_login(SUPERUSER, kept, "SUPERUSER CREATEDB CREATEROLE REPLICATION BYPASSRLS"),
            keep=self._is_let_in,
            undo=lambda was_let_in: None if was_let_in else self.lock_root(),
        )

    def is_root_enabled(self, context: RequestContext) -> bool:
        return self._is_let_in()

    def lock_root(self) -> None:
        if self.account_exists(SUPERUSER):
            self.connections.execute("Disabling root", f"ALTER ROLE {quoted(SUPERUSER)} PASSWORD NULL")

    def _is_let_in(self) -> bool:
        return self.kept_password(SUPERUSER) is not None
