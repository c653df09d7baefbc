"""The superuser that the owner of the instance may ask for: root, from anywhere."""

from guestagent.capabilities.root import RootUser
from guestagent.contract.context import RequestContext
from guestagent.contract.users import ANYWHERE
from guestagent.operations.plan import Step
from guestagent_mariadb.grants import Account
from guestagent_mariadb.users import MariaDBUsers

ROOT = Account("root", ANYWHERE)


class MariaDBRoot(RootUser, MariaDBUsers):
    """Supports the capability *root*.

    Disabling locks the user. Dropping it would break the views and routines that it defined.
    """

    root_name = ROOT.name

    def root_step(self, password: str) -> Step:
        from guestagent_mariadb.passwords import digest

        kept = digest(password, "root")

        def enable() -> None:
            change = "ALTER" if self.account_exists(ROOT) else "CREATE"
            self.connections.execute(
                "Enabling root",
                f"{change} USER %s@%s IDENTIFIED BY PASSWORD %s {self.login_requirement()} ACCOUNT UNLOCK",
                (*ROOT, kept),
            )
            self.connections.execute("Enabling root", "GRANT ALL PRIVILEGES ON *.* TO %s@%s WITH GRANT OPTION", ROOT)

        return Step(
            "let root in",
            enable,
            keep=lambda: bool(self._hosts_of_root()),
            undo=lambda was_enabled: None if was_enabled else self.lock_root(),
        )

    def is_root_enabled(self, context: RequestContext) -> bool:
        return bool(self._hosts_of_root())

    def lock_root(self) -> None:
        for host in self._hosts_of_root():
            self.connections.execute(
                "Disabling root",
                "ALTER USER %s@%s ACCOUNT LOCK",
                (ROOT.name, host),
            )

    def _hosts_of_root(self) -> list[str]:
        rows = self.connections.fetch(
            "Looking for root",
            "SELECT Host FROM mysql.global_priv WHERE User = 'root' AND Host <> 'localhost'"
            " AND COALESCE(JSON_VALUE(Priv, '$.account_locked'), 0) = 0",
        )
        return [host for (host,) in rows]
