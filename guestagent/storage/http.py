"""HTTP for strategies whose store speaks it: bodies are streams both ways, and no wait outlives its operation.

The requests and answers are ``http.client``'s. The socket below is ours, because ``http.client`` can only
block: here a wait ends when the store says nothing for too long, and at once when the operation is cancelled.
"""

import contextlib
import functools
import http.client
import io
import os
import select
import socket
import ssl
import threading
import time
import types
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Self, TypeVar

from guestagent.contract.errors import InvalidValue, StorageError
from guestagent.system import waiting

CHUNK: Final = 1 << 20
MOST_IDLE: Final = 8
"""Connections that are kept for later."""

Done = TypeVar("Done")
Body = bytes | Iterable[bytes] | None


class StorageUnavailable(StorageError):
    """The store could not be reached, broke off or asked for patience: what was tried may be tried again."""

    id = "storage.unavailable"
    sentence = "{subject} failed: {problem}; try again."


class StorageDenied(StorageError):
    """The store does not take our credentials, or grants them less than is needed: trying again is useless."""

    hopeless = True
    id = "storage.denied"
    sentence = "{subject} was denied: {problem}; check the credentials of the store and what they may do."


class Response:
    """What the store answers. Its body must be read or the response closed; ``with`` does the latter.

    :ivar status: as HTTP numbers it.
    """

    def __init__(
        self, client: "HttpClient", connection: "_Connection", answer: http.client.HTTPResponse, what: str
    ) -> None:
        self._client = client
        self._connection: _Connection | None = connection
        self._answer = answer
        self._what = what
        self.status = answer.status

    def header(self, name: str) -> str:
        """What a header says, its name in any case; empty: it is not there."""
        return self._answer.getheader(name, "")

    def headers(self, prefix: str) -> dict[str, str]:
        """All headers whose names begin so, by the rest of their names, in lower case."""
        shown = ((name.lower(), text) for name, text in self._answer.getheaders())
        return {name.removeprefix(prefix): text for name, text in shown if name.startswith(prefix)}

    @property
    def size(self) -> int | None:
        """The bytes that the body has, or would have if it was not left out; none: the store does not say."""
        text = self.header("Content-Length")
        return int(text) if text.isascii() and text.isdigit() else None

    def read(self, most: int = CHUNK) -> bytes:
        """The whole body.

        :raises StorageError: it is longer than ``most``.
        :raises StorageUnavailable: it broke off.
        """
        content = bytearray()
        for chunk in self.chunks():
            content += chunk
            if len(content) > most:
                self.close()
                raise StorageError(subject=self._what, problem=f"the store's answer is longer than {most} bytes")
        return bytes(content)

    def chunks(self) -> Iterator[bytes]:
        """The body piece by piece.

        :raises StorageUnavailable: it broke off, however orderly; what came before is not the whole.
        """
        with self:
            if self._answer.length is None and not self._answer.chunked:
                raise StorageError(subject=self._what, problem="the store does not say how long its answer is")
            while chunk := _translated(self._what, lambda: self._answer.read(CHUNK)):
                yield chunk
            # http.client takes an early end for the end, if it is asked for so many bytes.
            if missing := self._answer.length:
                raise StorageUnavailable(subject=self._what, problem=f"the answer ended {missing} bytes too early")
            self._keep()

    def close(self) -> None:
        """Give up what was not read, and with it the connection."""
        self._answer.close()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _keep(self) -> None:
        """Let the next request have the connection."""
        if self._connection is not None and not self._answer.will_close:
            self._client._keep(self._connection)
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.close()


class HttpClient:
    """Sends requests to one server; any number of threads may do so at a time.

    :param url: of the server; what of it is a path is kept for the caller and not sent.
    :param ca_file: who may vouch for the server; none: whom the machine trusts.
    :param insecure: believe whoever answers, as an operator may want it.
    :param connect_timeout: seconds until a server that takes no connection is given up.
    :param timeout: seconds of silence until a server is given up.
    :ivar authority: what the header ``Host`` says.
    :ivar path: of the URL, without a ``/`` at its end.
    :raises InvalidValue: the URL or the file cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        ca_file: str | None = None,
        insecure: bool = False,
        connect_timeout: float = 10.0,
        timeout: float = 60.0,
    ) -> None:
        secure, self.host, port, self.path = _parse(url)
        self.port = port or (443 if secure else 80)
        name = f"[{self.host}]" if ":" in self.host else self.host
        self.authority = f"{name}:{port}" if port else name
        self._tls = _trusting(ca_file, insecure) if secure else None
        self._connect_timeout = connect_timeout
        self._timeout = timeout
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []

    def request(self, what: str, method: str, target: str, headers: Mapping[str, str], body: Body = None) -> Response:
        """Send a request.

        :param what: the subject of the sentences of errors.
        :param target: what to ask for, percent-encoded, with its query.
        :param headers: with ``Content-Length`` if the body comes in pieces whose length is known; without it
            they are sent in HTTP's own chunks.
        :raises StorageUnavailable: there is no answer.
        :raises StorageError: somebody answers whom nobody vouches for.
        """
        connection = self._connection()
        try:
            answer = _translated(what, lambda: connection.asked(method, target, headers, body))
        except BaseException:
            connection.close()
            raise
        return Response(self, connection, answer, what)

    def close(self) -> None:
        """Close the connections that were kept for the next request."""
        with self._lock:
            kept, self._idle = self._idle, []
        for connection in kept:
            connection.close()

    def _connection(self) -> "_Connection":
        while True:
            with self._lock:
                if not self._idle:
                    break
                connection = self._idle.pop()
            if connection.quiet:
                return connection
            connection.close()
        return _Connection(self.host, self.port, self._tls, self._connect_timeout, self._timeout)

    def _keep(self, connection: "_Connection") -> None:
        with self._lock:
            if len(self._idle) < MOST_IDLE:
                self._idle.append(connection)
                return
        connection.close()


class _Connection(http.client.HTTPConnection):
    """``http.client``'s, on a socket of ours."""

    def __init__(
        self, host: str, port: int, tls: ssl.SSLContext | None, connect_timeout: float, silence: float
    ) -> None:
        super().__init__(host, port)
        self._open = functools.partial(_Wire.open, host, port, tls, connect_timeout, silence)

    def connect(self) -> None:
        self.sock: Any = self._open()

    def asked(self, method: str, target: str, headers: Mapping[str, str], body: Body) -> http.client.HTTPResponse:
        """Send a request and read the head of its answer."""
        try:
            self.request(method, target, body, headers)
        except (BrokenPipeError, ConnectionResetError):
            # Who refuses a body says why and hangs up; why is more than that.
            with contextlib.suppress(OSError, http.client.HTTPException):
                return self.getresponse()
            raise
        return self.getresponse()

    @property
    def quiet(self) -> bool:
        """Whether the other side has neither hung up meanwhile nor said what nobody asked for."""
        return isinstance(self.sock, _Wire) and self.sock.quiet()


class _Wire:
    """What ``http.client`` needs of a socket, on one that does not block.

    :param timeout: seconds of silence.
    """

    def __init__(self, connected: socket.socket, timeout: float) -> None:
        self._socket = connected
        self._timeout = timeout
        self._users = 1

    @classmethod
    def open(cls, host: str, port: int, tls: ssl.SSLContext | None, connect_timeout: float, timeout: float) -> Self:
        """Connect to the first of the host's addresses that takes us.

        Looking up the name is the one wait that cannot be woken; how long it may take is the resolver's to say.
        """
        waiting.check()
        problem = OSError("the host has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            raw = socket.socket(family, kind, protocol)
            try:
                raw.setblocking(False)
                _connect(raw, address, connect_timeout)
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if tls is not None:
                    raw = tls.wrap_socket(raw, server_hostname=host, do_handshake_on_connect=False)
                    _patiently(raw.do_handshake, raw, select.POLLIN, connect_timeout)
            except BaseException as error:
                raw.close()
                if not isinstance(error, OSError) or isinstance(error, ssl.SSLCertVerificationError):
                    raise
                problem = error
            else:
                return cls(raw, timeout)
        raise problem

    def sendall(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            sent = _patiently(functools.partial(self._socket.send, left), self._socket, select.POLLOUT, self._timeout)
            left = left[sent:]

    def receive(self, buffer: memoryview) -> int:
        """Fill some of the buffer; none at the end."""
        receive = functools.partial(self._socket.recv_into, buffer)
        return _patiently(receive, self._socket, select.POLLIN, self._timeout)

    def makefile(self, mode: str) -> io.BufferedReader:
        self._users += 1
        return io.BufferedReader(_Incoming(self))

    def quiet(self) -> bool:
        """Whether there is nothing to read, not even the end."""
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        return not poller.poll(0)

    def close(self) -> None:
        """As a socket does it: what :meth:`makefile` made of it goes on."""
        self._users -= 1
        if self._users == 0:
            self._socket.close()


class _Incoming(io.RawIOBase):
    """What arrives on a wire."""

    def __init__(self, wire: _Wire) -> None:
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._wire.receive(buffer)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._wire.close()


def _connect(raw: socket.socket, address: Any, timeout: float) -> None:
    try:
        raw.connect(address)
    except BlockingIOError:
        _ready(raw, select.POLLOUT, time.monotonic() + timeout)
        if problem := raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(problem, os.strerror(problem)) from None


def _patiently(act: Callable[[], Done], on: socket.socket, events: int, timeout: float) -> Done:
    """Do what would block as soon as it does not.

    :param events: what a plain socket waits for; TLS says itself what it needs, which can be the opposite.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            return act()
        except ssl.SSLWantReadError:
            _ready(on, select.POLLIN, deadline)
        except ssl.SSLWantWriteError:
            _ready(on, select.POLLOUT, deadline)
        except BlockingIOError:
            _ready(on, events, deadline)


def _ready(on: socket.socket, events: int, deadline: float) -> None:
    poller = select.poll()
    poller.register(on, events)
    if not waiting.poll(poller, deadline):
        raise TimeoutError("the store says nothing")


def _translated(what: str, act: Callable[[], Done]) -> Done:
    """Do something with a connection; what goes wrong with it becomes an error of a store."""
    try:
        return act()
    except ssl.SSLCertVerificationError as error:
        raise StorageError(subject=what, problem=f"the store is not trusted: {error.verify_message}") from error
    except OSError as error:
        raise StorageUnavailable(subject=what, problem=error.strerror or error) from error
    except http.client.HTTPException as error:
        problem = f"the store does not speak HTTP as it should ({type(error).__name__}: {error})"
        raise StorageUnavailable(subject=what, problem=problem) from error


def _parse(url: str) -> tuple[bool, str, int | None, str]:
    """Whether it is ``https``, the host, the port if there is one, and the path."""
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidValue(subject="The URL of the store", problem="it is none") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        problem = "it must begin with http:// or https:// and name a host"
    elif parts.username is not None or parts.password is not None:
        problem = "it must hold no credentials"
    elif parts.query or parts.fragment:
        problem = "it must end with its path"
    else:
        return parts.scheme == "https", parts.hostname, port, parts.path.rstrip("/")
    # It may hold a password, and is not shown.
    raise InvalidValue(subject="The URL of the store", problem=problem)


def _trusting(ca_file: str | None, insecure: bool) -> ssl.SSLContext:
    """Verifies certificates and host names, unless that is not wanted."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise InvalidValue(subject=f"The CA file {ca_file!r}", problem=error.strerror or error) from error
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
