"""The agent's door on its own machine: a unix socket that answers when the broker is gone."""

import contextlib
import grp
import json
import os
import pwd
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from oslo_config import cfg
from oslo_log import log

from guestagent.contract import ALLOWED
from guestagent.contract.call import OWN
from guestagent.contract.errors import (
    GuestAgentError,
    InternalError,
    InvalidMessage,
    SystemFailure,
    UnknownCall,
)
from guestagent.system import files

LOG = log.getLogger(__name__)

PLACES: Final = 8
"""Connections at a time; whoever comes then is told to come again."""
LONGEST: Final = 1 << 16
"""Bytes of the longest request."""
PATIENCE: Final = 30
"""Seconds that a client has to send a whole request, and as many to take an answer."""
WAITING: Final = 128
"""Connections that the kernel keeps for us while we are at another."""
PAUSE: Final = 1
"""Seconds between two attempts to accept where the machine is out of file descriptors."""
CHUNK: Final = 1 << 14
CREDENTIALS: Final = struct.Struct("=iII")
"""``struct ucred``: process, user, group."""

Answer = Callable[[str, dict[str, Any]], Any]
"""Does a call by its name and its arguments."""


def socket_path(conf: cfg.ConfigOpts) -> Path:
    """Where the agent that the files are for has its socket."""
    return Path(conf.agent.run_dir) / "agent.sock"


class Stranger(GuestAgentError):
    """The account of the other end may not use the socket."""

    id = "local.stranger"
    sentence = "The account with uid {uid} may not use the guest agent's socket: be root{members}."


class Crowded(GuestAgentError):
    """Too many connections at a time."""

    id = "local.crowded"
    sentence = "The guest agent's socket has {places} connections already; try again in a moment."


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    """One line of a client."""

    method: str
    arguments: dict[str, Any] = {}


class LocalServer:
    """Answers the accounts that may ask, one line for one line. It costs a thread that sleeps until somebody comes.

    :param path: of the socket, see :func:`socket_path`.
    :param answer: does the calls of our own namespace, the only ones that get to it; raises
        :class:`GuestAgentError`.
    :param group: the name of the group whose members may ask, beside root and the agent's own account.
    """

    def __init__(self, path: Path, answer: Answer, group: str | None = None) -> None:
        self._path = path
        self._answer = answer
        self._group = group or None
        self._gid: int | None = None
        self._listener: socket.socket | None = None
        self._places = threading.BoundedSemaphore(PLACES)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()

    def start(self) -> None:
        """Open the socket. One that a killed agent left is replaced.

        :raises SystemFailure: it cannot be opened; the agent can do without.
        """
        self._gid = self._find_group()
        try:
            _make_way(self._path.parent, self._gid)
            self._clear()
            self._listener = self._listen()
        except OSError as error:
            raise self._failure(error.strerror or str(error)) from error
        threading.Thread(target=self._accept, args=(self._listener,), name="local", daemon=True).start()

    def stop(self) -> None:
        """Take nothing new; what is being answered is answered to its end. Repeating it is safe.

        An agent that stops may finish for an hour what it has begun, and whoever looks at that looks through here:
        let this be the last that stops.
        """
        self._stopping.set()
        listener, self._listener = self._listener, None
        if listener is None:
            return
        # While we still listen nobody else takes the name, so that the name is ours.
        self._path.unlink(missing_ok=True)
        with listener, contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)

    def _find_group(self) -> int | None:
        if self._group is None:
            return None
        try:
            return grp.getgrnam(self._group).gr_gid
        except KeyError:
            raise self._failure(f"there is no group {self._group!r}, see [agent] local_group") from None

    def _clear(self) -> None:
        """Remove the socket of an agent that is no more."""
        try:
            mode = self._path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise self._failure("what has its name is no socket; remove it")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(PAUSE)
            try:
                probe.connect(str(self._path))
            except ConnectionRefusedError:
                self._path.unlink(missing_ok=True)
                return
        raise self._failure("another agent listens on it; give each agent a run_dir of its own")

    def _listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(self._path))
            try:
                # Nobody gets in before it listens, and then it has its mode.
                self._path.chmod(0o600)
                if self._gid is not None:
                    os.chown(self._path, -1, self._gid)
                    self._path.chmod(0o660)
                listener.listen(WAITING)
            except OSError:
                self._path.unlink(missing_ok=True)
                raise
        except OSError:
            listener.close()
            raise
        return listener

    def _failure(self, problem: str) -> SystemFailure:
        return SystemFailure(subject=f"Opening the socket {self._path}", problem=problem)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError as error:
                if self._stopping.is_set():
                    return
                LOG.warning("The local socket cannot take a connection: %s", error.strerror)
                self._stopping.wait(PAUSE)
                continue
            if not self._places.acquire(blocking=False):
                _turn_away(connection, Crowded(places=PLACES))
                continue
            try:
                threading.Thread(target=self._serve, args=(connection,), name="local", daemon=True).start()
            except RuntimeError:
                # The machine is out of threads.
                self._places.release()
                _turn_away(connection, Crowded(places="as many as there are threads for"))

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.add(connection)
            # An end that has looked through the connections already has not seen this one.
            too_late = self._stopping.is_set()
        try:
            if not too_late:
                self._converse(connection)
        except OSError as error:
            LOG.debug("A local connection ended early: %s", error)
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()
            self._places.release()

    def _converse(self, connection: socket.socket) -> None:
        _, uid, gid = CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
        if not self._may_ask(uid, gid):
            LOG.warning("The local socket refused the account with uid %d", uid)
            members = f" or a member of the group '{self._group}'" if self._group else ""
            _turn_away(connection, Stranger(uid=uid, members=members))
            return
        try:
            for line in _lines(connection):
                if self._stopping.is_set():
                    return
                connection.settimeout(PATIENCE)
                connection.sendall(self._reply(line))
        except InvalidMessage as error:
            # Where the next request would begin is not known.
            _turn_away(connection, error)

    def _may_ask(self, uid: int, gid: int) -> bool:
        if uid in (0, os.geteuid()):
            return True
        return self._gid is not None and (gid == self._gid or self._gid in _groups(uid))

    def _reply(self, line: bytes) -> bytes:
        try:
            request = _read(line)
            if (OWN, request.method) not in ALLOWED:
                raise UnknownCall(operation=request.method, namespace=OWN)
            return self._result(request)
        except GuestAgentError as error:
            return _refusal(error)

    def _result(self, request: _Request) -> bytes:
        try:
            return _sealed({"result": self._answer(request.method, request.arguments)})
        except GuestAgentError:
            raise
        except Exception as error:
            LOG.exception("%s (over the local socket) failed unexpectedly", request.method)
            raise InternalError(operation=request.method, kind=type(error).__name__, request_id="-") from error


def _make_way(directory: Path, gid: int | None) -> None:
    """Make the directory if it is missing, and let the group through it: to look into it is another right."""
    if not directory.is_dir():
        files.ensure_directory(directory)
    if gid is None:
        return
    found = directory.stat()
    if found.st_mode & stat.S_IXOTH or (found.st_gid == gid and found.st_mode & stat.S_IXGRP):
        return
    os.chown(directory, -1, gid)
    directory.chmod(stat.S_IMODE(found.st_mode) & ~stat.S_IRWXG | stat.S_IXGRP)


def _groups(uid: int) -> list[int]:
    """The groups of an account; none of one that the machine does not know."""
    try:
        account = pwd.getpwuid(uid)
    except KeyError:
        return []
    return os.getgrouplist(account.pw_name, account.pw_gid)


def _lines(connection: socket.socket) -> Iterator[bytes]:
    """What the client asks, until it leaves.

    :raises InvalidMessage: a line is too long.
    :raises TimeoutError: the client did not send a whole line in time.
    """
    pending = bytearray()
    while True:
        deadline = time.monotonic() + PATIENCE
        while (end := pending.find(b"\n")) < 0 and len(pending) <= LONGEST:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("no whole request in time")
            connection.settimeout(left)
            chunk = connection.recv(CHUNK)
            if not chunk:
                return
            pending += chunk
        if not 0 <= end <= LONGEST:
            raise InvalidMessage(problem=f"its line is longer than {LONGEST} bytes")
        line = bytes(pending[:end])
        del pending[: end + 1]
        yield line


def _read(line: bytes) -> _Request:
    try:
        return msgspec.json.decode(line, type=_Request)
    except msgspec.ValidationError as error:
        raise InvalidMessage(problem=str(error)) from None
    except (ValueError, RecursionError):
        # What is said of broken JSON can hold a piece of it.
        raise InvalidMessage(problem="it is not a line of JSON") from None


def _turn_away(connection: socket.socket, error: GuestAgentError) -> None:
    """Say why and hang up; whoever does not listen is not waited for."""
    with connection, contextlib.suppress(OSError):
        connection.setblocking(False)
        connection.send(_refusal(error))


def _refusal(error: GuestAgentError) -> bytes:
    return _sealed({"error": {"id": error.id, "sentence": str(error)}})


def _sealed(answer: dict[str, Any]) -> bytes:
    """One line, whatever is in it."""
    return json.dumps(answer).encode() + b"\n"
