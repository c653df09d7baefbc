"""The manager: what the image's entry point names, as ``redis`` or as ``valkey``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from guestagent.capabilities.modules import AppliedModules
from guestagent.capabilities.server import Preparation
from guestagent.operations.plan import Step
from guestagent_redis.backups import RedisBackups
from guestagent_redis.guest_logs import RedisLogs
from guestagent_redis.root import RedisRoot
from guestagent_redis.server_tls import RedisTls
from guestagent_redis.snapshots import RedisSnapshots
from guestagent_redis.upgrades import RedisUpgrades


class RedisManager(RedisRoot, RedisTls, RedisLogs, RedisSnapshots, RedisBackups, RedisUpgrades, AppliedModules):
    """Manages one Redis or Valkey server: everything of the contract but databases, grants and replication.

    Each base class is one capability; the plans that bring a server up are here.
    """

    def prepare_steps(self, preparation: Preparation) -> Sequence[Step]:
        return [
            self.attach_step(format_empty=True),
            Step("set up the account and the directories", self.set_up_account),
            Step("write the configuration", lambda: self.configure(preparation)),
            self.data_step(preparation.fill),
            self.claim_step(),
        ]

    def rebuild_steps(self, preparation: Preparation) -> Sequence[Step]:
        return [
            self.attach_step(format_empty=False),
            Step("find the data", self.find_data),
            Step("set up the account and the directories", self.set_up_account),
            Step("write the configuration", lambda: self.configure(preparation)),
            Step("recover TLS", lambda: self.recover_tls(self.configure_tls)),
            self.claim_step(),
        ]

    def make_data(self, directory: Path) -> None:
        """There is nothing to make: a server begins empty where it finds nothing."""

    def claim_step(self) -> Step:
        """The server runs and knows the agent."""
        return Step("start and claim the server", self.claim_server, volatile=True, undo=lambda _: self.stop_server())

    def claim_server(self) -> None:
        """Start the server so that it knows the agent, and the agent's new password, before it lets anybody in."""
        if not self.answers():
            self.stop_server()
            self.administrator.renew()
        self.start_server()

    def tidy(self) -> None:
        super().tidy()
        self.layout.lent_credentials.unlink(missing_ok=True)
        self.discard_trial()

    def recognise(self) -> dict[str, Any] | None:
        # The credentials are on the root disk: on a machine that was rebuilt there are none, and rebuild will come.
        if not self.administrator.credentials.exists():
            return None
        self.attach_volume(format_empty=False)
        if not self.layout.data_dir.is_dir():
            return None
        return {"read_only": self.is_configured_read_only(), "tls_mode": self.configured_tls_mode()}
