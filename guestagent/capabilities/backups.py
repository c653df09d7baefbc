"""Backups of the data, and instances that begin with one: what is the same for every database."""

import abc
import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from oslo_log import log

from guestagent import conf as configuration
from guestagent.contract.backups import ArchiveState, RecoveryReport
from guestagent.contract.call import Call
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import Busy, GuestAgentError, InvalidValue, Leaving, NotSupported
from guestagent.contract.states import Phase, Wanted
from guestagent.manager import BaseDatastoreManager
from guestagent.operations.plan import Plan, Step
from guestagent.system import files

if TYPE_CHECKING:
    # What backups need is imported when there is one to make: most agents are idle most of the time.
    from guestagent.backup.archiver import Archiver
    from guestagent.backup.job import Done, Job, Place, ServerFacts

LOG = log.getLogger(__name__)

GIB = 1 << 30
BUILDING, COMPLETED = "BUILDING", "COMPLETED"
"""The states of a backup, in Trove's words; see also :data:`guestagent.contract.states.BACKUP_FAILED`."""
INCREMENTAL = "incremental"
"""And the type of one that builds on another."""

Query = Callable[[str], Sequence[Sequence[str | None]]]
"""Asks a server in its own language; the rows of the answer, as text."""


class BackupInfo(msgspec.Struct, frozen=True):
    """What the control plane says of a backup, as far as it is used.

    :ivar parent: the location of the backup that it builds on.
    :ivar location: where it is; none: it is still to be made.
    :ivar checksum: of what is there.
    :ivar incremental: the control plane knows that what is there builds on another one.
    """

    id: str
    place: "Place"
    parent: str | None
    location: str | None
    checksum: str | None
    incremental: bool


class BackedUp(BaseDatastoreManager, abc.ABC):
    """Supports the capability *backups* with the strategies that the image declares."""

    @abc.abstractmethod
    def backed_up_server(self) -> "AbstractContextManager[ServerFacts]":
        """The running server, with credentials lent for as long as the block lasts."""

    @abc.abstractmethod
    def restored_server(self, target: Path) -> "ServerFacts":
        """The server that is to run on what a restore makes."""

    def draft_dir(self) -> Path | None:
        """Where what it takes to go on with a backup is kept when the agent dies, on the volume of the data.

        None: nowhere, and such a backup begins anew.
        """
        return None

    def scratch_server(self, target: Path, directory: Path) -> AbstractContextManager[Query]:
        """A server on restored data as long as the block lasts, beside the instance's own and out of its way.

        It has no network, and nothing of it is left outside of the two directories.

        :param target: what a restore made; the server may change it.
        :param directory: empty, of the server's account, mode 0700.
        :raises NotSupported: the datastore has no way to do that.
        """
        raise NotSupported(operation="a server on restored data", datastore=self.datastore_name)

    def supports(self, declared: Call) -> bool:
        # Without a strategy there is nobody to make one.
        needs_strategy = declared.name == "create_backup"
        return super().supports(declared) and (bool(self.guest.backup_strategies) or not needs_strategy)

    def create_backup(self, context: RequestContext, backup_info: dict[str, Any]) -> None:
        info = self._info(backup_info)
        made: list[Done] = []
        copy = Step(
            "copy the data",
            lambda: made.append(self._make(context, info)),
            # What is there already is found, and only its location is told again.
            volatile=True,
            undo=lambda _: self._discard(context, info),
        )
        steps = [
            Step("say that it begins", lambda: self._report(context, info, state=BUILDING)),
            copy,
            Step("say that it is there", lambda: self._report_done(context, info, made[-1])),
        ]
        # Whoever asked for it tells the control plane if it fails.
        self.guest.carry_out(Plan("backup", steps, cancellable=True))

    def restore(self, context: RequestContext, backup_info: dict[str, Any], target: Path) -> None:
        if not self.guest.backup_strategies:
            raise NotSupported(operation="prepare from a backup", datastore=self.datastore_name)
        info = self._info(backup_info)
        if info.location is None:
            raise InvalidValue(subject=f"Backup {info.id!r}", problem="the control plane does not say where it is")
        from guestagent.backup import archiver
        from guestagent.backup.job import Restore

        server = self.restored_server(target)
        job = Restore(
            dict(context.values),
            info.place,
            server,
            info.location,
            str(target),
            info.checksum,
            info.incremental,
            archiver.recovery(self.guest, info.id, backup_info),
        )
        with _scratch_removed(server):
            self._work(job)

    def _make(self, context: RequestContext, info: BackupInfo) -> "Done":
        from guestagent.backup.job import Backup

        strategy = self.guest.backup_strategies[0]
        with self.backed_up_server() as server, _scratch_removed(server):
            return self._work(
                Backup(
                    dict(context.values),
                    info.place,
                    strategy,
                    server,
                    info.id,
                    self.guest.id,
                    info.parent,
                    self._draft_dir(),
                )
            )

    def _discard(self, context: RequestContext, info: BackupInfo) -> None:
        from guestagent.backup.job import Discard

        self._work(Discard(dict(context.values), info.place, info.id, self.guest.id, self._draft_dir()))

    def _draft_dir(self) -> str | None:
        directory = self.draft_dir()
        return None if directory is None else str(directory)

    def _work(self, job: "Job") -> "Done":
        """Have a job done by a process of its own; what it says of its progress is the operation's.

        :raises WorkFailed: it failed.
        :raises SystemFailure: the process died.
        """
        from guestagent.backup import errand
        from guestagent.backup.job import Done

        return errand.send(job, configuration.arguments(self.guest.conf), self.guest.operations.progress, Done)

    def _info(self, backup_info: dict[str, Any]) -> BackupInfo:
        from guestagent.backup.job import Place

        wanted = _text(backup_info, "storage_driver") or next(iter(self.guest.storage), None)
        if wanted is None or wanted not in self.guest.storage:
            problem = f"the image declares no such storage strategy, but {', '.join(self.guest.storage) or 'none'}"
            raise InvalidValue(subject=f"The storage {wanted!r}", problem=problem)
        backup_id = _text(backup_info, "id")
        if backup_id is None:
            raise InvalidValue(subject="The backup", problem="it has no id")
        container = _text(backup_info, "swift_container") or self.guest.conf.backup.container
        parent = backup_info.get("parent")
        return BackupInfo(
            backup_id,
            Place(wanted, _text(backup_info, "swift_url"), container),
            _text(parent, "location") if isinstance(parent, dict) else None,
            _text(backup_info, "location"),
            _text(backup_info, "checksum"),
            incremental=_text(backup_info, "type") == INCREMENTAL,
        )

    def _report(self, context: RequestContext, info: BackupInfo, **fields: Any) -> None:
        self.guest.report_backup(context, info.id, **fields)

    def _report_done(self, context: RequestContext, info: BackupInfo, done: "Done") -> None:
        self._report(
            context,
            info,
            state=COMPLETED,
            location=done.location,
            checksum=done.checksum,
            size=round(done.size / GIB, 2),
            success=True,
            confirmed=True,
        )


@contextlib.contextmanager
def _scratch_removed(server: "ServerFacts") -> Iterator[None]:
    """Nothing of a strategy's is left after the block; who worked there may have been killed."""
    try:
        yield
    finally:
        files.remove_tree(Path(server.scratch_dir))


class ArchivedLogs(BackedUp, abc.ABC):
    """Supports the calls about logs with the archive strategy that the image declares first."""

    @abc.abstractmethod
    def archived_server(self) -> "AbstractContextManager[ServerFacts]":
        """As :meth:`BackedUp.backed_up_server`, for what works beside a backup and must not meet it."""

    def supports(self, declared: Call) -> bool:
        is_about_logs = declared.name in ("archive_logs", "recovery_window")
        return super().supports(declared) and (bool(self.guest.archive_strategies) or not is_about_logs)

    def archive_logs(self, context: RequestContext) -> ArchiveState:
        step = Step(
            "archive the closed logs",
            lambda: _drop(self._archiver.run(context, self.archived_server)),
            undo=lambda _: self._archiver.give_up(context),
        )
        self.guest.carry_out(Plan("archive", [step]))
        return self._archiver.state

    def archive_closed_logs(self) -> None:
        record = self.guest.record.current
        if record.phase is not Phase.READY or record.wanted is not Wanted.RUNNING:
            return
        try:
            self._archiver.run(RequestContext(), self.archived_server)
        except (Busy, Leaving) as reason:
            LOG.debug("No logs are archived now: %s", reason)
        except GuestAgentError as error:
            LOG.error("Archiving failed and will be tried again: %s", error)

    def recovery_window(self, context: RequestContext) -> RecoveryReport:
        from guestagent.backup.job import Place

        storage, options = next(iter(self.guest.storage), ""), self.guest.conf.backup
        state, facts = self._archiver.state, self.restored_server(Path())
        try:
            window = self._archiver.window(context, Place(storage, None, options.container), facts)
        except GuestAgentError as error:
            return RecoveryReport(state, error=str(error))
        return RecoveryReport(state, window)

    @functools.cached_property
    def _archiver(self) -> "Archiver":
        from guestagent.backup.archiver import Archiver

        return Archiver(self.guest)


def _drop(result: object) -> None:
    """Forget a result, so that what gave it fits a step."""


def _text(values: dict[str, Any], name: str) -> str | None:
    found = values.get(name)
    return found if isinstance(found, str) and found else None
