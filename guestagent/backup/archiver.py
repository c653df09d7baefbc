"""The agent's side of archiving: it sends a process to do a run, and remembers how that went."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec
from oslo_config import cfg
from oslo_log import log

from guestagent import conf as configuration
from guestagent.backup import errand
from guestagent.backup.job import Archive, Archived, ClearLogs, Done, Look, Place, Recovery, Seen, ServerFacts
from guestagent.backup.progress import silent
from guestagent.contract.backups import ArchiveState, RecoveryWindow
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import Busy, GuestAgentError, InvalidValue, Leaving, NotSupported
from guestagent.guest import Guest
from guestagent.system import files

LOG = log.getLogger(__name__)

FILE = "archive.json"
"""Holds the state in the agent's state directory, so that a run of the next agent knows what waits."""


class Archiver:
    """Archives one run at a time; safe to use from several threads.

    :param guest: whose logs.
    """

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._place = log_place(guest.conf, guest.storage)
        self._running = threading.Lock()

    @property
    def state(self) -> ArchiveState:
        """How the last run went."""
        with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
            return msgspec.json.decode(self._file.read_bytes(), type=ArchiveState)
        return ArchiveState()

    def run(self, context: RequestContext, server: Callable[[], AbstractContextManager[ServerFacts]]) -> ArchiveState:
        """Archive what the server has closed, and say loudly where that does not go well.

        :param server: lends the running one.
        :raises Busy: another run is under way.
        :raises Leaving: the agent is going down.
        :raises GuestAgentError: the run could not be made.
        """
        with self._alone():
            before = self.state
            state = self._archive(context, server, before)
        _tell(before, state)
        return state

    def give_up(self, context: RequestContext) -> None:
        """Remove what a run that was given up has left in the store; repeating it is safe.

        :raises GuestAgentError: the store refuses.
        """
        # What a run that is under way has begun is its own.
        with contextlib.suppress(Busy), self._alone():
            self._send(ClearLogs(dict(context.values), self._place, self._guest.id), Done)

    def window(self, context: RequestContext, backups: Place, facts: ServerFacts) -> RecoveryWindow:
        """What can be restored of the guest.

        :raises GuestAgentError: a store cannot be read.
        """
        strategy = self._guest.archive_strategies[0]
        job = Look(dict(context.values), backups, self._place, strategy, facts, self._guest.id)
        return self._send(job, Seen).window

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._running.acquire(blocking=False):
            raise Busy(operation="archive_logs", running="archiving", request_id="-", seconds=0)
        try:
            yield
        finally:
            self._running.release()

    def _archive(
        self,
        context: RequestContext,
        server: Callable[[], AbstractContextManager[ServerFacts]],
        before: ArchiveState,
    ) -> ArchiveState:
        guest = self._guest
        try:
            with server() as facts:
                values = dict(context.values)
                job = Archive(values, self._place, guest.archive_strategies[0], facts, guest.id, before)
                state = self._send(job, Archived).state
        except Leaving:
            # The next agent's first run does the rest.
            raise
        except GuestAgentError as error:
            self._keep(msgspec.structs.replace(before, state="failing", error=str(error)))
            raise
        self._keep(state)
        return state

    def _send(self, job: Archive | ClearLogs | Look, wanted: type[errand.Wanted]) -> errand.Wanted:
        return errand.send(job, configuration.arguments(self._guest.conf), silent, wanted)

    def _keep(self, state: ArchiveState) -> None:
        files.write(self._file, msgspec.json.encode(state))

    @property
    def _file(self) -> Path:
        return self._guest.state_dir / FILE


def log_place(conf: cfg.ConfigOpts, storages: Iterable[str]) -> Place:
    """Where logs are.

    :param storages: the names of the image's, the first of which counts where no other is set.
    """
    options = conf.backup
    storage = options.archive_storage or next(iter(storages), "")
    return Place(storage, options.archive_url, options.archive_container or options.container)


def recovery(guest: Guest, backup_id: str, backup_info: Mapping[str, Any]) -> Recovery | None:
    """Until where the data of a backup are to be brought forward; none: nowhere.

    :param backup_info: the control plane's; one that knows of it sends ``recover_to``.
    :raises InvalidValue: nobody can tell what was asked for.
    :raises NotSupported: the image has nothing that could do it.
    """
    point = backup_info.get("recover_to")
    if point is None:
        point = _configured_point(guest, backup_id)
    if point is None:
        return None
    if not isinstance(point, str) or not point.strip():
        raise InvalidValue(subject="'recover_to'", problem="it is neither a time nor a position, written as a text")
    if not guest.archive_strategies:
        raise NotSupported(operation="recovery to a point in time", datastore=guest.datastore)
    return Recovery(guest.archive_strategies[0], log_place(guest.conf, guest.storage), point)


def _configured_point(guest: Guest, backup_id: str) -> str | None:
    meant, _, point = (guest.conf.backup.recover_to or "").strip().partition(" ")
    if not meant:
        return None
    if not point:
        raise InvalidValue(subject="[backup] recover_to", problem="it is not the id of a backup and a point")
    if meant != backup_id:
        LOG.warning("[backup] recover_to is about backup %s, and this is %s; it does not count", meant, backup_id)
        return None
    return point


def _tell(before: ArchiveState, state: ArchiveState) -> None:
    waiting = f"{state.waiting_logs} logs with {state.waiting_bytes >> 20} MiB wait on the server"
    if state.dropped_logs > before.dropped_logs:
        LOG.critical(
            "%d logs were dropped unarchived, because more waited than may ([backup] archive_keep_bytes): "
            "there is a gap in what can be recovered until the next backup; %s: %s",
            state.dropped_logs - before.dropped_logs,
            waiting,
            state.error,
        )
    elif state.state == "limit":
        LOG.critical("%s, more than may ([backup] archive_keep_bytes), and fill the disk: %s", waiting, state.error)
    elif state.error is not None:
        LOG.error("Archiving failed and will be tried again; %s: %s", waiting, state.error)
    elif before.error is not None:
        LOG.info("Archiving goes on; everything until now is in the store")
