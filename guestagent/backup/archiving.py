"""Keeping the logs that a server has closed: the work of one run, in a process of its own."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import msgspec
from oslo_config import cfg

from guestagent.backup import manifest, settings, writer
from guestagent.backup.archive import BaseArchiveStrategy, Log
from guestagent.backup.base import Taken
from guestagent.backup.log_store import INSTANT, LOG, LogStore
from guestagent.contract.backups import ArchiveState
from guestagent.contract.errors import GuestAgentError, SystemFailure
from guestagent.system import volume

GOOD, FAILING, LIMIT = "good", "failing", "limit"
"""What :attr:`ArchiveState.state` can be, beside ``unknown``."""
MOST_RELEASED = 1000
"""Logs that the server is asked to remove in one run: each is looked for in the store, and some may have to stay."""
DROP = "drop"
"""The policy that gives up logs where too many wait."""


class LogChanged(GuestAgentError):
    """A log that was said to be closed is another one by now."""

    id = "archive.log-changed"
    sentence = (
        "The log '{log}' had {expected} bytes when it was closed and has others now; it was not archived, and the next "
        "run tries again. Find out who writes to it."
    )


class LogUnnamable(GuestAgentError):
    """The name of a log could lead out of its place in the store."""

    id = "archive.log-name"
    sentence = "The log '{log}' cannot be archived: its name may hold A-Z a-z 0-9 _ . -; change the server's log name."


class Archiving:
    """One run.

    Killed at any moment, the next run does the rest: a log is archived when its manifest is there, and not before.

    :param name: of the strategy, as the image declares it.
    :param state: what the run before has left.
    :raises GuestAgentError: a setting is wrong.
    """

    def __init__(
        self, conf: cfg.ConfigOpts, name: str, strategy: BaseArchiveStrategy, store: LogStore, state: ArchiveState
    ) -> None:
        self._options = conf.backup
        # The next run is the next try.
        self._settings = msgspec.structs.replace(settings.read(conf), patience=INSTANT)
        self._name = name
        self._strategy = strategy
        self._store = store
        self._state = state
        self._most = 0

    def run(self) -> ArchiveState:
        """Close the present log, keep what is not in the store, and let the server forget what is.

        What fails is in the state that is returned.
        """
        begun = time.time()
        # The worker of the run before may have been killed while it wrote.
        self._store.storage.tidy()
        try:
            with _readable():
                self._strategy.close()
                logs = list(self._strategy.closed())
                self._most = self._limit(logs)
        except GuestAgentError as error:
            # What waits is as it was, as far as anybody knows.
            return msgspec.structs.replace(self._state, state=FAILING, checked=begun, error=str(error))
        waiting, problem = self._archive(logs)
        archived = logs[: len(logs) - len(waiting)]
        lost = 0
        try:
            lost = self._give_up(archived, waiting)
        except GuestAgentError as error:
            problem = str(error)
        return self._told(begun, archived, waiting[lost:], lost, problem)

    def _archive(self, logs: Sequence[Log]) -> tuple[Sequence[Log], str | None]:
        """Keep what is not in the store, and let the server forget what is.

        :returns: what still waits, and why.
        """
        known = next((at for at, one in enumerate(logs, 1) if one.name == self._state.last_log), 0)
        waiting = logs[known:]
        try:
            waiting = self._missing(waiting)
            while waiting:
                self._keep(waiting[0])
                waiting = waiting[1:]
            self._release(logs)
        except GuestAgentError as error:
            return waiting, str(error)
        return waiting, None

    def _told(
        self, begun: float, archived: Sequence[Log], waiting: Sequence[Log], lost: int, problem: str | None
    ) -> ArchiveState:
        size = _bytes(waiting)
        before = self._state
        return ArchiveState(
            state=LIMIT if lost or self._is_too_much(size) else FAILING if problem else GOOD,
            checked=begun,
            archived=before.archived if waiting or lost else begun,
            last_log=archived[-1].name if archived else before.last_log,
            waiting_logs=len(waiting),
            waiting_bytes=size,
            dropped_logs=before.dropped_logs + lost,
            error=problem,
        )

    def _missing(self, logs: Sequence[Log]) -> Sequence[Log]:
        """Those that are not in the store: what is older than one that is there is there too."""
        for at in range(len(logs), 0, -1):
            if self._store.has(logs[at - 1].name):
                return logs[at:]
        return logs

    def _keep(self, one: Log) -> None:
        """Archive one log."""
        if not (manifest.is_name(one.name) and manifest.is_name(one.ends)):
            raise LogUnnamable(log=one.name)
        store = self._store
        # What an agent left of it that died.
        store.clear(one.name)
        with _readable(), one.path.open("rb") as stream:
            written = writer.write(
                _File(one, stream), store.storage, store.context, store.container, store.id_of(one.name), self._settings
            )
        made = written.as_manifest(
            store.id_of(one.name), store.instance_id, self._name, self._strategy, LOG, one.opened
        )
        store.seal(one.name, one.ends, made)

    def _release(self, logs: Sequence[Log]) -> None:
        """Let the server forget logs that are old enough, or too much, as far as they are in the store."""
        kept = _bytes(logs)
        released = []
        for one in logs[:MOST_RELEASED]:
            if not (self._is_old(one) or self._is_too_much(kept)) or not self._store.has(one.name):
                break
            released.append(one)
            kept -= one.size
        if released:
            self._strategy.release(released)

    def _is_old(self, one: Log) -> bool:
        after: int = self._options.archive_purge_after
        return after >= 0 and one.closed <= time.time() - after

    def _give_up(self, archived: Sequence[Log], waiting: Sequence[Log]) -> int:
        """Where too much waits, and that is the policy, let the server forget the oldest of it.

        :returns: how many logs are lost.
        """
        lost = 0
        while self._options.archive_at_limit == DROP and self._is_too_much(_bytes(waiting[lost:])):
            lost += 1
        if lost:
            self._strategy.release([*archived, *waiting[:lost]])
        return lost

    def _limit(self, logs: Sequence[Log]) -> int:
        """Bytes of logs that may stay; 0: any number. It is met before a small volume is full."""
        most: int = self._options.archive_keep_bytes
        return volume.at_most_a_quarter(most, logs[0].path.parent) if logs else most

    def _is_too_much(self, size: int) -> bool:
        return 0 < self._most < size


class _File:
    """A closed log as the stream of a backup."""

    def __init__(self, one: Log, stream: BinaryIO) -> None:
        self._log = one
        self._stream = stream
        self._read = 0

    def read(self, size: int) -> bytes:
        chunk = self._stream.read(size)
        self._read += len(chunk)
        return chunk

    def finish(self) -> Taken:
        if self._read != self._log.size:
            raise LogChanged(log=self._log.name, expected=self._log.size)
        return Taken(self._log.positions, self._log.closed)


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """Have files that cannot be read be an error of ours."""
    try:
        yield
    except OSError as error:
        raise SystemFailure(subject=f"Reading {error.filename}", problem=error.strerror) from error


def _bytes(logs: Sequence[Log]) -> int:
    return sum(one.size for one in logs)
