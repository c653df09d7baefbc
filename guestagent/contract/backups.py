"""Backups of the data."""

from typing import Any

from guestagent.contract.call import Capability, call
from guestagent.contract.context import RequestContext


class Backups(Capability):
    """Make backups, and hold the server still while somebody else makes one."""

    @call(cast=True, notifies=True, required=True, once=("backup_info", "id"), makes_backup=True)
    def create_backup(self, context: RequestContext, backup_info: dict[str, Any]) -> None:
        """Make the backup that ``backup_info`` describes and report its progress to the conductor.

        A backup of an id that was asked for before is not made again, unless that one failed.
        """

    @call(since="1.2")
    def pre_create_backup(self, context: RequestContext) -> dict[str, Any]:
        """Hold the data still for a snapshot of the volume.

        :returns: what a restore from the snapshot needs to know.
        """

    @call(since="1.2", repeatable=True)
    def post_create_backup(self, context: RequestContext) -> dict[str, Any]:
        """Let the data go on after a snapshot of the volume."""
