"""Replication between instances."""

from typing import Any

from guestagent.contract.call import Capability, call
from guestagent.contract.context import RequestContext


class Replication(Capability):
    """Make primaries and replicas, and change which is which."""

    @call(reads=True)
    def backup_required_for_replication(self, context: RequestContext) -> bool:
        """Whether a new replica starts from a backup of the primary."""

    @call(required=True)
    def get_replication_snapshot(
        self,
        context: RequestContext,
        snapshot_info: dict[str, Any] | None = None,
        replica_source_config: str | dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Make this server a primary and give all that a new replica's prepare needs."""

    @call(cast=True)
    def attach_replication_slave(
        self,
        context: RequestContext,
        snapshot: dict[str, Any],
        slave_config: str | dict[str, Any] | None = None,
    ) -> None:
        """Follow the primary that the snapshot names."""

    @call(required=True)
    def attach_replica(
        self,
        context: RequestContext,
        replica_info: dict[str, Any],
        slave_config: str | dict[str, Any] | None = None,
        restart: bool = False,
    ) -> None:
        """Follow the primary that ``replica_info`` names."""

    @call(required=True)
    def detach_replica(self, context: RequestContext, for_failover: bool = False) -> dict[str, Any] | None:
        """Stop following; ``for_failover``: this replica becomes the primary."""

    @call(reads=True)
    def get_replica_context(self, context: RequestContext) -> dict[str, Any]:
        """What a replica needs to follow this primary."""

    @call(repeatable=True)
    def make_read_only(self, context: RequestContext, read_only: bool) -> None:
        """Refuse, or accept again, writes of ordinary users, also over a restart.

        How far a user can go against it is the datastore's to say: some servers refuse, others let a session set
        itself free.
        """

    @call()
    def enable_as_master(
        self, context: RequestContext, replica_source_config: str | dict[str, Any] | None = None
    ) -> None:
        """Become a primary that replicas can follow."""

    @call(repeatable=True)
    def demote_replication_master(self, context: RequestContext) -> None:
        """Stop being a primary."""

    @call(reads=True)
    def get_txn_count(self, context: RequestContext) -> int:
        """How many transactions this server has executed."""

    @call(reads=True)
    def get_last_txn(self, context: RequestContext) -> tuple[str, int]:
        """The id of the primary and the number of the last transaction that came from it."""

    @call(reads=True)
    def get_latest_txn_id(self, context: RequestContext) -> str:
        """The position of the last transaction in this server's log."""

    @call(reads=True)
    def wait_for_txn(self, context: RequestContext, txn: str) -> None:
        """Wait until the transaction has been executed here."""

    @call(repeatable=True)
    def cleanup_source_on_replica_detach(self, context: RequestContext, replica_info: dict[str, Any] | None) -> None:
        """Remove on the primary what belonged to a replica that left."""
