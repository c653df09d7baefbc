"""A bad link: an HTTP proxy of the tests' own that passes requests on, and spoils those that it is told to."""

import contextlib
import dataclasses
import http.client
import http.server
import socket
import struct
import threading
import time
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Self

from guestagent.conformance.ports import LOOPBACK

PIECE = 1 << 16
PATIENCE = 60.0
RESET = struct.pack("ii", 1, 0)
"""For ``SO_LINGER``: closing then resets the connection."""


@dataclasses.dataclass(frozen=True)
class Exchange:
    """One request, before it was passed on.

    :ivar target: with its query, as it was sent.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    size: int


@dataclasses.dataclass(frozen=True)
class Fault:
    """What happens to a request; the default is nothing.

    :ivar unread: after so many bytes of the request's body the connection is reset; nothing is passed on.
    :ivar status: is answered instead of passing it on.
    :ivar body: of that answer.
    :ivar headers: of that answer, beside its length.
    :ivar delay: seconds of silence before the answer.
    :ivar lost: the request is passed on, and the connection reset instead of answering.
    :ivar reset_after: after so many bytes of the answer's body the connection is reset.
    :ivar truncate_after: after so many bytes of the answer's body it ends in good order.
    :ivar pace: bytes of the answer's body in a second.
    """

    unread: int | None = None
    status: int | None = None
    body: bytes = b""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    delay: float = 0.0
    lost: bool = False
    reset_after: int | None = None
    truncate_after: int | None = None
    pace: int | None = None


@dataclasses.dataclass
class _Planned:
    fault: Fault
    applies: Callable[[Exchange], bool]
    times: int


class FaultyLink:
    """The proxy, on a port of the loopback interface, before a server that speaks plain HTTP on it.

    :param upstream: the server's port.
    :ivar exchanges: all requests that came, those that were spoiled too.
    """

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.exchanges: list[Exchange] = []
        self._planned: list[_Planned] = []
        self._lock = threading.Lock()
        link = self

        class Handler(_Handler):
            def link(self) -> FaultyLink:
                return link

        self._server = _Server((LOOPBACK, 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def spoil(self, fault: Fault, *, method: str = "", target: str = "", times: int = 1) -> None:
        """Apply a fault to the next requests of a kind.

        :param method: none: any.
        :param target: what must be in the target.
        :param times: how many of them; what is planned first comes first.
        """

        def applies(exchange: Exchange) -> bool:
            return method in ("", exchange.method) and target in exchange.target

        with self._lock:
            self._planned.append(_Planned(fault, applies, times))

    def heal(self) -> None:
        """Forget what was planned."""
        with self._lock:
            self._planned.clear()

    def seen(self, method: str, target: str = "") -> int:
        """How many requests of a kind came."""
        return sum(exchange.method == method and target in exchange.target for exchange in self.exchanges)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE)

    def take(self, exchange: Exchange) -> Fault:
        """What happens to a request that came."""
        with self._lock:
            self.exchanges.append(exchange)
            for planned in self._planned:
                if planned.times and planned.applies(exchange):
                    planned.times -= 1
                    return planned.fault
        return Fault()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.close()


class _Server(http.server.ThreadingHTTPServer):
    # A client that is given up may hold its connection; the tests do not wait for it.
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections that break are what this is for."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE
    connection: socket.socket

    def link(self) -> FaultyLink:
        raise NotImplementedError

    def handle_expect_100(self) -> bool:
        self.send_response_only(100)
        self.end_headers()
        return True

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _exchange(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        exchange = Exchange(self.command, self.path, dict(self.headers.items()), size)
        fault = self.link().take(exchange)
        body = bytearray()
        for piece in self._body(size):
            body += piece
            if fault.unread is not None and len(body) >= fault.unread:
                break
        if fault.unread is not None:
            self._reset()
        elif fault.status is not None:
            time.sleep(fault.delay)
            self._head(fault.status, {**fault.headers, "Content-Length": str(len(fault.body))})
            if self.command != "HEAD":
                self.wfile.write(fault.body)
        else:
            self._pass_on(bytes(body), fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_COPY = do_OPTIONS = _exchange  # noqa: N815

    def _pass_on(self, body: bytes, fault: Fault) -> None:
        upstream = http.client.HTTPConnection(LOOPBACK, self.link().upstream, timeout=PATIENCE)
        with contextlib.closing(upstream):
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            chunked = "chunked" in self.headers.get("Transfer-Encoding", "").lower()
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "transfer-encoding", "expect"):
                    upstream.putheader(name, value)
            if chunked:
                upstream.putheader("Content-Length", str(len(body)))
            upstream.endheaders(body)
            answer = upstream.getresponse()
            content = answer.read()
            if fault.lost:
                self._reset()
                return
            time.sleep(fault.delay)
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
            if self.command == "HEAD":
                kept["Content-Length"] = answer.getheader("Content-Length", "0")
            elif answer.status not in (204, 304):
                kept["Content-Length"] = str(len(content))
            self._head(answer.status, kept)
            self._answer(content, fault)

    def _answer(self, content: bytes, fault: Fault) -> None:
        sent = 0
        ends = [end for end in (fault.reset_after, fault.truncate_after) if end is not None]
        for piece in _pieces(content[: min(ends, default=len(content))], fault.pace):
            self.wfile.write(piece)
            sent += len(piece)
            if fault.pace:
                time.sleep(len(piece) / fault.pace)
        if fault.reset_after is not None:
            self._reset()
        elif fault.truncate_after is not None:
            self.close_connection = True

    def _body(self, size: int) -> Iterator[bytes]:
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            while size and (piece := self.rfile.read(min(size, PIECE))):
                size -= len(piece)
                yield piece
            if size:
                raise ConnectionResetError("the body ended early")
            return
        while length := int(self.rfile.readline().partition(b";")[0], 16):
            yield self.rfile.read(length)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _reset(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        # http.server shuts a connection down in good order before it closes it; detached it cannot.
        socket.close(self.connection.detach())


_HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding", "content-length")


def _pieces(content: bytes, pace: int | None) -> Iterator[bytes]:
    length = max(1, pace // 20) if pace else PIECE
    for start in range(0, len(content), length):
        yield content[start : start + length]
