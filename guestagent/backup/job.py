"""What the agent and the process that does a backup's work say to each other: one line of JSON for one message."""

from typing import Any

import msgspec

from guestagent.contract.backups import ArchiveState, RecoveryWindow
from guestagent.contract.errors import GuestAgentError


class WorkFailed(GuestAgentError):
    """The work of a backup failed in the process that does it; the sentence is from there.

    Its facts hold the ``remote_id`` of the error.
    """

    id = "backup.work-failed"
    sentence = "{message}"


class Place(msgspec.Struct, frozen=True):
    """Where backups are kept.

    :ivar storage: the name of the storage strategy.
    :ivar url: the store that the request names, if it names one.
    :ivar container: of the objects.
    """

    storage: str
    url: str | None
    container: str


class ServerFacts(msgspec.Struct, frozen=True):
    """:class:`guestagent.backup.base.Server`, as it travels."""

    datastore: str
    version: str
    data_dir: str
    scratch_dir: str
    account: str | None = None
    credentials: str | None = None
    configuration: str | None = None
    lasting_dir: str | None = None


class Backup(msgspec.Struct, frozen=True, tag="backup"):
    """Make a backup.

    :ivar parent: the location of the backup that it builds on.
    :ivar draft_dir: where what is needed to go on with it is kept; none: nowhere, and it always begins anew.
    """

    context: dict[str, Any]
    place: Place
    strategy: str
    server: ServerFacts
    backup_id: str
    instance_id: str
    parent: str | None = None
    draft_dir: str | None = None


class Recovery(msgspec.Struct, frozen=True):
    """Which changes are made once more on a restored backup.

    :ivar strategy: the name of the one that archived them.
    :ivar place: where they are.
    :ivar point: until where, as it is typed; see :meth:`guestagent.backup.archive.Point.parse`.
    """

    strategy: str
    place: Place
    point: str


class Restore(msgspec.Struct, frozen=True, tag="restore"):
    """Fill an empty directory from a backup and those that it builds on.

    :ivar target: the directory; of the server's account.
    :ivar checksum: what the control plane knows of it; one with a manifest has better ones.
    :ivar incremental: the control plane knows that it builds on another one.
    :ivar recovery: none: the data are those of the backup.
    """

    context: dict[str, Any]
    place: Place
    server: ServerFacts
    location: str
    target: str
    checksum: str | None = None
    incremental: bool = False
    recovery: Recovery | None = None


class Verify(msgspec.Struct, frozen=True, tag="verify"):
    """Read a backup through, and those that it builds on."""

    context: dict[str, Any]
    place: Place
    location: str


class Discard(msgspec.Struct, frozen=True, tag="discard"):
    """Remove what is left of a backup that was given up, and its draft.

    :ivar instance_id: whose backup it is; one of another instance stays.
    :ivar draft_dir: as of :class:`Backup`.
    """

    context: dict[str, Any]
    place: Place
    backup_id: str
    instance_id: str
    draft_dir: str | None = None


class Archive(msgspec.Struct, frozen=True, tag="archive"):
    """Keep the logs that the server has closed.

    :ivar strategy: the name of the one that knows them.
    :ivar state: what the last run has left.
    """

    context: dict[str, Any]
    place: Place
    strategy: str
    server: ServerFacts
    instance_id: str
    state: ArchiveState


class ClearLogs(msgspec.Struct, frozen=True, tag="clear_logs"):
    """Remove what is left of logs that were not archived to their end, as an archiving that was given up leaves it."""

    context: dict[str, Any]
    place: Place
    instance_id: str


class Look(msgspec.Struct, frozen=True, tag="look"):
    """See what can be restored of an instance.

    :ivar backups: where its backups are.
    :ivar logs: where its logs are.
    :ivar strategy: the name of the one that archives them.
    """

    context: dict[str, Any]
    backups: Place
    logs: Place
    strategy: str
    server: ServerFacts
    instance_id: str


Job = Backup | Restore | Verify | Discard | Archive | ClearLogs | Look


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """So many bytes of the stream are done.

    :ivar total: how many there will be, roughly; none: nobody knows.
    """

    done: int
    total: int | None


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The work has ended well.

    :ivar location: of a backup that was made.
    :ivar checksum: of it, as its store has it.
    :ivar size: of its stream in bytes, or of all that were read.
    """

    location: str | None
    checksum: str | None
    size: int


class Archived(msgspec.Struct, frozen=True, tag="archived"):
    """The logs were looked after; what failed is in the state."""

    state: ArchiveState


class Seen(msgspec.Struct, frozen=True, tag="seen"):
    """What can be restored."""

    window: RecoveryWindow


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The work has failed; the id and the sentence of the error."""

    id: str
    sentence: str


Result = Done | Archived | Seen
Message = Progress | Failed | Done | Archived | Seen
