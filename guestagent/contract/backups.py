"""Backups of the data, and how far back and forth they reach."""

from typing import Any

import msgspec

from guestagent.contract.call import OWN, Capability, call
from guestagent.contract.context import RequestContext


class ArchiveState(msgspec.Struct, frozen=True):
    """How the archiving of logs is; times in seconds since the epoch.

    ``state`` is ``unknown`` before the first run, ``good``, ``failing``, or ``limit``: more waits than
    ``[backup] archive_keep_bytes``. ``checked`` is when somebody looked last, ``archived`` when all that the server had
    written until then was in the store; ``waiting_logs`` and ``waiting_bytes`` are what is not there yet;
    ``dropped_logs`` were given up at the limit since the agent began to count; ``error`` is a sentence.
    """

    state: str = "unknown"
    checked: float | None = None
    archived: float | None = None
    last_log: str | None = None
    waiting_logs: int = 0
    waiting_bytes: int = 0
    dropped_logs: int = 0
    error: str | None = None


class RecoverableBackup(msgspec.Struct, frozen=True):
    """A backup, and how far archived logs lead on from it; times in seconds since the epoch.

    Any moment from ``since`` to ``until`` can be restored; ``position`` is where the server stood then, in the
    datastore's own terms; ``gap`` says what is missing where the logs do not lead on to the newest one.
    """

    id: str
    since: float
    until: float
    position: str | None
    logs: int
    gap: str | None = None


class RecoveryWindow(msgspec.Struct, frozen=True):
    """What can be restored of an instance; times in seconds since the epoch, none where nothing can be.

    Between ``earliest`` and ``last`` there may be gaps, which ``backups`` shows, oldest first.
    """

    instance_id: str
    earliest: float | None
    last: float | None
    position: str | None
    backups: list[RecoverableBackup]


class RecoveryReport(msgspec.Struct, frozen=True):
    """How the archiving is, and what can be restored, as the store shows it now.

    ``window`` is none where it could not be looked into, and ``error`` says why.
    """

    archiving: ArchiveState
    window: RecoveryWindow | None = None
    error: str | None = None


class Backups(Capability):
    """Make backups, archive logs, and hold the server still while somebody else makes a backup."""

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

    @call(repeatable=True, namespaces=(OWN,))
    def archive_logs(self, context: RequestContext) -> ArchiveState:
        """Close the server's present log, and have everything in the store that is not there yet.

        What fails is in the answer.
        """

    @call(reads=True, namespaces=(OWN,))
    def recovery_window(self, context: RequestContext) -> RecoveryReport:
        """Since and until when the instance can be restored to any moment: the last recoverable time.

        It looks into the store, which may take seconds.
        """
