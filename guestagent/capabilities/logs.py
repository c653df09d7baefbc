"""The server's log files: who may see them, and how they get into the object store."""

import abc
import contextlib
import datetime
import enum
import functools
import hashlib
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from oslo_log import log as logging

from guestagent.contract.context import RequestContext
from guestagent.contract.errors import InvalidValue, NotFound, StorageError, SystemFailure
from guestagent.contract.logs import LogDetails
from guestagent.contract.states import ServiceStatus
from guestagent.guest import Guest
from guestagent.manager import BaseDatastoreManager
from guestagent.operations.plan import Plan, Step
from guestagent.storage.base import BaseStorage

LOG = logging.getLogger(__name__)

HEADER = 4096
"""The bytes at a file's beginning that tell it from its successor: enough to hold a few timestamps, which
the first line alone need not."""
METAFILE_LIMIT = 1 << 16
"""Bytes; users can write to the container, so what is there may be anything."""
NOWHERE = "None"
"""Trove's word for the container of a log that was never published. Its client hands it to Swift, which
answers "not found"; a null would make the client crash."""
ALL = "all"


class LogKind(enum.Enum):
    """Who decides whether a log is written."""

    USER = "USER"
    """Users enable and disable it."""
    SYS = "SYS"
    """It is always on."""


class Log(msgspec.Struct, frozen=True):
    """A log file. It need not exist yet, and its contents are bytes in any encoding.

    :ivar name: what users call it, and a part of the names of its objects.
    """

    name: str
    kind: LogKind
    path: Path


class Metafile(msgspec.Struct):
    """What a publication remembers beside its objects; the keys are Trove's.

    :ivar log_size: the bytes that have been published.
    :ivar log_header_digest: tells whether the file is still the one that they came from.
    """

    log_name: str
    log_type: str
    log_file: str
    log_size: Annotated[int, msgspec.Meta(ge=0)]
    log_header_digest: str


class Publication:
    """The published part of one log, where Trove's clients look for it.

    Objects ``<guest id>/<datastore>-<log>/log-<UTC time>`` follow one another; beside them lies
    ``<guest id>/<datastore>-<log>_metafile``.
    """

    def __init__(self, log: Log, guest: Guest, storage: BaseStorage, context: RequestContext) -> None:
        self.container: str = guest.conf.guest_log_container_name
        self.prefix = prefix_of(log, guest)
        self._log = log
        self._storage = storage
        self._context = context

    def read(self) -> Metafile | None:
        """The metafile; none: nothing has been published."""
        name = metafile_of(self.prefix)
        text = b""
        try:
            for chunk in self._storage.get(self._context, self.container, name):
                text += chunk
                if len(text) > METAFILE_LIMIT:
                    break
            return msgspec.json.decode(text, type=Metafile)
        except NotFound:
            return None
        except msgspec.DecodeError:
            problem = "it is no metafile of a log; discard the log to begin anew"
            raise StorageError(subject=f"Reading {self.container}/{name}", problem=problem) from None

    def append(self, piece: bytes, size: int, digest: str) -> None:
        """Publish the next piece of the log.

        :param size: what has been published when this has.
        :param digest: of the file's beginning.
        """
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
        # Trove's client finds the last lines of a log by the number of lines in each object.
        lines = {"lines": str(len(piece.splitlines()))}
        self._storage.put(self._context, self.container, f"{self.prefix}log-{now}", [piece], lines)
        metafile = Metafile(self._log.name, self._log.kind.value, str(self._log.path), size, digest)
        # After every piece: an agent that is killed on the way repeats one piece and not the whole log.
        self._storage.put(self._context, self.container, metafile_of(self.prefix), [msgspec.json.encode(metafile)])

    def discard(self) -> None:
        """Delete everything that was published; repeating it is safe."""
        self._storage.delete(self._context, self.container, metafile_of(self.prefix))
        for name in self._storage.list(self._context, self.container, self.prefix):
            self._storage.delete(self._context, self.container, name)


class Progress(msgspec.Struct, frozen=True):
    """How a log's file and its publication stand to each other.

    :ivar size: of the file in bytes; none: there is no file.
    :ivar published: how many bytes have been published.
    :ivar rotated: they came from an earlier file.
    """

    size: int | None = None
    published: int = 0
    rotated: bool = False

    @property
    def pending(self) -> int:
        """The bytes that the next publication takes."""
        size = self.size or 0
        return size if self.rotated else max(size - self.published, 0)

    @property
    def status(self) -> str:
        """The status of a log that is on, in Trove's words."""
        if self.size is None:
            return "Unavailable"
        if self.rotated:
            return "Rotated"
        if self.pending:
            return "Partial" if self.published else "Ready"
        return "Published" if self.published else "Enabled"


class GuestLogs(BaseDatastoreManager, abc.ABC):
    """Supports the capability *logs*. What is published goes to the first storage strategy of the image.

    A server with logs of kind ``USER`` overrides :meth:`switch_log` and :meth:`log_enabled`.
    """

    def __init__(self, guest: Guest) -> None:
        super().__init__(guest)
        self._awaiting_restart: dict[str, bool] = {}

    @abc.abstractmethod
    def logs(self) -> Sequence[Log]:
        """The server's logs; names are unique."""

    def switch_log(self, log: Log, enabled: bool) -> bool:
        """Let the server begin or cease to write a ``USER`` log, now and after its next start; repeating it is safe.

        :returns: whether the server does so only when it has been restarted.
        """
        raise NotImplementedError(f"log {log.name!r} is of kind USER, and nothing switches it")

    def log_enabled(self, log: Log) -> bool:
        """Whether the server writes a ``USER`` log; one that is down: whether it will when it runs."""
        raise NotImplementedError(f"log {log.name!r} is of kind USER, and nobody knows whether it is on")

    def exposed_logs(self) -> Collection[str]:
        """The names of the logs that not only administrators of the cloud may see; ``all``: every one."""
        return [log.name for log in self.logs() if log.kind is LogKind.USER]

    def guest_log_list(self, context: RequestContext) -> list[LogDetails]:
        return [self._details(context, log) for log in self._visible(context)]

    def guest_log_action(
        self,
        context: RequestContext,
        log_name: str,
        enable: int | bool | None = None,
        disable: int | bool | None = None,
        publish: int | bool | None = None,
        discard: int | bool | None = None,
    ) -> LogDetails:
        log = self._find(context, log_name)
        if enable and disable:
            raise InvalidValue(subject=f"The request for log {log.name!r}", problem="it says enable and disable")
        if log.kind is LogKind.SYS and (enable or disable):
            raise InvalidValue(subject=f"Log {log.name!r}", problem="it is always on; only USER logs can be switched")
        publication = self._publication(context, log) if publish or discard else None
        steps = []
        if enable or disable:
            steps.append(self._switch_step(log, bool(enable)))
        elif publish and log.kind is LogKind.USER:
            # Also of a log that is on: an agent that died may have switched it, and the next one has to know that.
            steps.append(msgspec.structs.replace(self._switch_step(log, True), do=lambda: self._switch_on(log)))
        if publication and discard:
            steps.append(Step("discard what was published", publication.discard))
        if publication and publish:
            steps.append(Step("publish", functools.partial(self._publish, log, publication)))
        self.guest.carry_out(Plan(f"log {log.name}", steps))
        return self._details(context, log)

    def _visible(self, context: RequestContext) -> list[Log]:
        known = [*self.logs(), *_agent_log(self.guest)]
        if context.is_admin:
            return known
        exposed = self.exposed_logs()
        return [log for log in known if ALL in exposed or log.name in exposed]

    def _find(self, context: RequestContext, name: str) -> Log:
        for log in self._visible(context):
            if log.name == name:
                return log
        raise NotFound(subject=f"The log {name!r}")

    def _publication(self, context: RequestContext, log: Log) -> Publication:
        for storage in self.guest.storage.values():
            return Publication(log, self.guest, storage, context)
        problem = "the image declares no storage strategy that could keep it ([image] storage_strategies)"
        raise InvalidValue(subject=f"Publishing log {log.name!r}", problem=problem)

    def _switch_step(self, log: Log, enabled: bool) -> Step:
        return Step(
            "switch it on" if enabled else "switch it off",
            lambda: self._switch(log, enabled),
            keep=lambda: self.log_enabled(log),
            undo=lambda was_enabled: self._switch(log, was_enabled),
        )

    def _switch_on(self, log: Log) -> None:
        if not self.log_enabled(log):
            self._switch(log, True)

    def _switch(self, log: Log, enabled: bool) -> None:
        if self.switch_log(log, enabled) and self.log_enabled(log) is not enabled:
            self._awaiting_restart[log.name] = enabled
            self.guest.report(ServiceStatus.RESTART_REQUIRED)
        else:
            self._awaiting_restart.pop(log.name, None)

    def _publish(self, log: Log, publication: Publication) -> None:
        with _opened(log) as file:
            progress = _progress(file, publication.read())
            if progress.rotated:
                publication.discard()
            published = 0 if progress.rotated else progress.published
            for piece in _pieces(file, published, self.guest.conf.guest_log_limit):
                published += len(piece)
                publication.append(piece, published, _header_digest(file, published))

    def _details(self, context: RequestContext, log: Log) -> LogDetails:
        metafile = self._publication(context, log).read() if self.guest.storage else None
        try:
            with _opened(log) as file:
                progress = _progress(file, metafile)
        except (NotFound, SystemFailure) as error:
            LOG.info("Log %r has no size: %s", log.name, error)
            progress = Progress(published=metafile.log_size if metafile else 0)
        prefix = prefix_of(log, self.guest)
        return LogDetails(
            name=log.name,
            type=log.kind.value,
            status=self._status(log, progress),
            published=progress.published,
            pending=progress.pending,
            container=self.guest.conf.guest_log_container_name if progress.published else NOWHERE,
            prefix=prefix if progress.published else NOWHERE,
            metafile=metafile_of(prefix),
        )

    def _status(self, log: Log, progress: Progress) -> str:
        if log.kind is LogKind.USER:
            enabled = self.log_enabled(log)
            if self._awaiting_restart.get(log.name, enabled) is not enabled:
                return "Restart Required"
            self._awaiting_restart.pop(log.name, None)
            if not enabled:
                return "Disabled"
        return progress.status


def prefix_of(log: Log, guest: Guest) -> str:
    """How the names of a log's objects begin."""
    return f"{guest.id}/{guest.datastore}-{log.name}/"


def metafile_of(prefix: str) -> str:
    """The name of the metafile that belongs to a prefix."""
    return prefix.rstrip("/") + "_metafile"


def _agent_log(guest: Guest) -> Iterator[Log]:
    """The agent's own log, under Trove's name for it, where oslo.log's options send it to a file."""
    name = getattr(guest.conf, "log_file", None)
    if name:
        yield Log("guest", LogKind.SYS, Path(guest.conf.log_dir or "", name).absolute())


@contextlib.contextmanager
def _opened(log: Log) -> Iterator[int]:
    """The log's file, open for reading.

    The database's account can put anything under the file's name: a link to what only root may read,
    or a pipe that never answers. Neither is opened.

    :raises NotFound: there is no such file.
    """
    try:
        file = os.open(log.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(subject=f"The file {log.path} of log {log.name!r}") from None
    except OSError as error:
        raise _unreadable(log, error.strerror) from error
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise _unreadable(log, "it is no regular file")
        yield file
    finally:
        os.close(file)


def _unreadable(log: Log, problem: str | None) -> SystemFailure:
    return SystemFailure(subject=f"Reading {log.path} of log {log.name!r}", problem=problem)


def _progress(file: int, metafile: Metafile | None) -> Progress:
    size = os.fstat(file).st_size
    if metafile is None:
        return Progress(size)
    published = metafile.log_size
    rotated = size < published or _header_digest(file, published) != metafile.log_header_digest
    return Progress(size, published, rotated)


def _header_digest(file: int, published: int) -> str:
    """The digest of the published part of the file's header: what is appended later does not change it."""
    return hashlib.sha256(os.pread(file, min(published, HEADER), 0)).hexdigest()


def _pieces(file: int, start: int, limit: int) -> Iterator[bytes]:
    """What the file holds now, from ``start`` on, in pieces of at most ``limit`` bytes.

    A piece ends with a line where it can, because clients decode every object by itself.
    """
    end = os.fstat(file).st_size
    while start < end:
        piece = os.pread(file, min(limit, end - start), start)
        if not piece:
            return
        if start + len(piece) < end:
            piece = piece[: piece.rfind(b"\n") + 1] or piece
        start += len(piece)
        yield piece
