"""The MariaDB manager: what the image's entry point names."""

from collections.abc import Sequence
from typing import Any

from guestagent.capabilities.modules import AppliedModules
from guestagent.capabilities.server import Preparation
from guestagent.operations.plan import Step
from guestagent_mariadb.backups import MariaDBBackups
from guestagent_mariadb.guest_logs import MariaDBLogs
from guestagent_mariadb.installation import MariaDBInstallation
from guestagent_mariadb.root import MariaDBRoot
from guestagent_mariadb.server_tls import MariaDBTls
from guestagent_mariadb.snapshots import MariaDBSnapshots


class MariaDBManager(
    MariaDBRoot, MariaDBTls, MariaDBLogs, MariaDBSnapshots, MariaDBBackups, MariaDBInstallation, AppliedModules
):
    """Manages one MariaDB server: everything of the contract but replication.

    Each base class is one capability; the plans that bring a server up are here.
    """

    def prepare_steps(self, preparation: Preparation) -> Sequence[Step]:
        return [
            self.attach_step(format_empty=True),
            Step("set up the account and the directories", self.set_up_account),
            Step("write the configuration", lambda: self.configure(preparation)),
            self.data_step(preparation.fill),
            self.claim_step(),
            # Of another version, perhaps, where they come from a backup.
            *([self.adapt_step()] if preparation.fill else []),
            Step("secure the server", self.remove_left_overs),
        ]

    def rebuild_steps(self, preparation: Preparation) -> Sequence[Step]:
        return [
            self.attach_step(format_empty=False),
            Step("find the data", self.find_data),
            Step("set up the account and the directories", self.set_up_account),
            Step("compare the versions", self.check_data_version),
            Step("write the configuration", lambda: self.configure(preparation)),
            Step("recover TLS", lambda: self.recover_tls(self.configure_tls)),
            self.claim_step(),
            self.adapt_step(),
        ]

    def tidy(self) -> None:
        super().tidy()
        self.forget_claim()
        self.take_back_credentials()
        self.discard_trial()

    def recognise(self) -> dict[str, Any] | None:
        # The credentials are on the root disk: on a machine that was rebuilt there are none, and rebuild will come.
        if not self.administrator.credentials.exists():
            return None
        self.attach_volume(format_empty=False)
        if not self.layout.data_dir.is_dir():
            return None
        return {"read_only": self.is_configured_read_only(), "tls_mode": self.configured_tls_mode()}
