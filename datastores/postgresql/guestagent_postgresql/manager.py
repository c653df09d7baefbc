"""The PostgreSQL manager: what the image's entry point names."""

from collections.abc import Sequence
from typing import Any

from guestagent.capabilities.modules import AppliedModules
from guestagent.capabilities.server import Preparation
from guestagent.operations.plan import Step
from guestagent_postgresql.backups import PostgreSQLBackups
from guestagent_postgresql.guest_logs import PostgreSQLLogs
from guestagent_postgresql.root import PostgreSQLRoot
from guestagent_postgresql.server_tls import PostgreSQLTls
from guestagent_postgresql.snapshots import PostgreSQLSnapshots
from guestagent_postgresql.upgrades import PostgreSQLUpgrades


class PostgreSQLManager(
    PostgreSQLRoot,
    PostgreSQLTls,
    PostgreSQLLogs,
    PostgreSQLSnapshots,
    PostgreSQLBackups,
    PostgreSQLUpgrades,
    AppliedModules,
):
    """Manages one PostgreSQL server: everything of the contract but replication.

    Each base class is one capability; the plans that bring a server up are here.
    """

    def prepare_steps(self, preparation: Preparation) -> Sequence[Step]:
        return [
            self.attach_step(format_empty=True),
            Step("set up the account and the directories", self.set_up_account),
            Step("write the configuration", lambda: self.configure(preparation)),
            self.data_step(preparation.fill),
            self.first_start_step(),
        ]

    def rebuild_steps(self, preparation: Preparation) -> Sequence[Step]:
        return [
            self.attach_step(format_empty=False),
            Step("find the data", self.find_data),
            Step("set up the account and the directories", self.set_up_account),
            Step("compare the versions", self.check_data_version),
            Step("write the configuration", lambda: self.configure(preparation)),
            Step("recover TLS", lambda: self.recover_tls(self.configure_tls)),
            self.first_start_step(),
        ]

    def tidy(self) -> None:
        super().tidy()
        self.discard_trial()

    def recognise(self) -> dict[str, Any] | None:
        # The configuration is on the root disk: on a machine that was rebuilt there is none, and rebuild will come.
        if not self.layout.main_file.exists():
            return None
        self.attach_volume(format_empty=False)
        if not self.layout.data_dir.is_dir():
            return None
        return {"read_only": self.is_configured_read_only(), "tls_mode": self.configured_tls_mode()}
