"""The client for stores that speak HTTP, against a server that says exactly what a test wants it to say."""

import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guestagent.conformance.certificates import Authority
from guestagent.conformance.poll import eventually
from guestagent.conformance.ports import LOOPBACK, free_port
from guestagent.contract.errors import Cancelled, InvalidValue, StorageError, TimedOut
from guestagent.storage.http import HttpClient, Response, StorageDenied, StorageUnavailable
from guestagent.system.waiting import Interruption

PATIENCE = 10.0
OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"Content-Length: 5\r\n\r\nhello"

Handler = Callable[[socket.socket], None]


class Server:
    """Gives each connection to the handler, one at a time, and keeps what it was sent."""

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None = None) -> None:
        self._handler = handler
        self._tls = tls
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.closed = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with contextlib.suppress(OSError), connection:
                connection.settimeout(PATIENCE)
                if self._tls is None:
                    self._handler(connection)
                else:
                    with self._tls.wrap_socket(connection, server_side=True) as secured:
                        self._handler(secured)
            self.closed += 1


MakeServer = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[MakeServer]:
    servers: list[Server] = []

    def make(handler: Handler, tls: ssl.SSLContext | None = None) -> Server:
        servers.append(Server(handler, tls))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def head(connection: socket.socket) -> bytes:
    """What was asked, up to the empty line; nothing: the client hung up."""
    text = b""
    while not text.endswith(b"\r\n\r\n"):
        if not (letter := connection.recv(1)):
            return b""
        text += letter
    return text


def answering(*answers: bytes) -> Handler:
    """Answers each request of a connection in turn, and then hangs up."""

    def handler(connection: socket.socket) -> None:
        for answer in answers:
            if head(connection):
                connection.sendall(answer)

    return handler


def silent(connection: socket.socket) -> None:
    """Reads what is sent and says nothing."""
    while connection.recv(65536):
        pass


def client_of(server: Server, **how: object) -> HttpClient:
    return HttpClient(f"http://{LOOPBACK}:{server.port}", **how)  # type: ignore[arg-type]


def ask(client: HttpClient, method: str = "GET") -> Response:
    return client.request("Asking", method, "/a", {})


def test_an_answer_has_its_status_its_headers_and_its_body(serve: MakeServer) -> None:
    server = serve(answering(b"HTTP/1.1 404 No\r\nX-Why: none\r\nContent-Length: 5\r\n\r\nhello"))

    response = ask(client_of(server))

    assert response.status == 404
    assert response.header("x-why") == "none"
    assert response.header("x-other") == ""
    assert response.size == 5
    assert response.read() == b"hello"


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + HELLO,
    ],
)
def test_every_form_of_a_body_is_read(serve: MakeServer, answer: bytes) -> None:
    assert ask(client_of(serve(answering(answer)))).read() == b"hello"


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", OK + b"Content-Length: 7\r\n\r\n"),
        ("DELETE", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", OK + b"Content-Length: 0\r\n\r\n"),
    ],
)
def test_an_answer_without_a_body_has_none(serve: MakeServer, method: str, answer: bytes) -> None:
    server = serve(answering(answer, HELLO))
    client = client_of(server)

    assert ask(client, method).read() == b""
    assert ask(client).read() == b"hello"
    assert server.connections == 1


def test_a_connection_is_used_again(serve: MakeServer) -> None:
    server = serve(answering(HELLO, HELLO, HELLO))
    client = client_of(server)

    assert [ask(client).read() for _ in range(3)] == [b"hello"] * 3
    assert server.connections == 1


def test_a_connection_that_the_server_has_closed_meanwhile_is_not_used_again(serve: MakeServer) -> None:
    server = serve(answering(HELLO))
    client = client_of(server)

    for closed in (1, 2, 3):
        assert ask(client).read() == b"hello"
        eventually(lambda closed=closed: server.closed == closed)
    assert server.connections == 3


def test_a_body_that_was_not_read_is_not_taken_for_the_next_answer(serve: MakeServer) -> None:
    server = serve(answering(HELLO, HELLO))
    client = client_of(server)
    with ask(client):
        pass

    assert ask(client).read() == b"hello"
    assert server.connections == 2


def test_closing_a_response_that_was_read_leaves_the_connection_to_the_next_one(serve: MakeServer) -> None:
    client = client_of(serve(answering(HELLO, HELLO)))
    first = ask(client)
    first.read()
    second = ask(client)
    first.close()

    assert second.read() == b"hello"


def test_a_body_is_sent_as_it_comes(serve: MakeServer) -> None:
    seen: list[bytes] = []

    def handler(connection: socket.socket) -> None:
        seen.append(head(connection))
        while not seen[-1].endswith(b"0\r\n\r\n"):
            seen.append(connection.recv(65536))
        connection.sendall(HELLO)

    client_of(serve(handler)).request("Putting", "PUT", "/a?b", {"X-A": "1"}, iter([b"abc", b"", b"de"])).read()

    assert seen[0].startswith(b"PUT /a?b HTTP/1.1\r\n")
    assert b"X-A: 1\r\n" in seen[0]
    assert b"Transfer-Encoding: chunked" in seen[0]
    assert b"".join(seen[1:]) == b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"


def test_a_body_of_known_length_is_sent_plain(serve: MakeServer) -> None:
    seen = bytearray()

    def handler(connection: socket.socket) -> None:
        seen.extend(head(connection))
        body = b""
        while len(body) < 4:
            body += connection.recv(65536)
        seen.extend(body)
        connection.sendall(HELLO)

    client_of(serve(handler)).request("Putting", "PUT", "/", {"Content-Length": "4"}, [b"ab", b"cd"]).read()

    assert b"chunked" not in seen
    assert seen.endswith(b"\r\n\r\nabcd")


def test_a_large_body_passes_a_small_window(serve: MakeServer) -> None:
    content = os.urandom(4_000_000)
    received = bytearray()

    def handler(connection: socket.socket) -> None:
        head(connection)
        while len(received) < len(content):
            received.extend(connection.recv(100_000))
        connection.sendall(OK + b"Content-Length: %d\r\n\r\n" % len(content) + content)

    response = client_of(serve(handler)).request("Putting", "PUT", "/", {}, content)

    assert b"".join(response.chunks()) == content
    assert received == content


def test_a_source_that_fails_leaves_no_whole_body(serve: MakeServer) -> None:
    received = bytearray()
    gone = threading.Event()

    def handler(connection: socket.socket) -> None:
        head(connection)
        while data := connection.recv(65536):
            received.extend(data)
        gone.set()

    def source() -> Iterator[bytes]:
        yield b"half"
        raise RuntimeError("the source ended early")

    with pytest.raises(RuntimeError, match="ended early"):
        client_of(serve(handler)).request("Putting", "PUT", "/", {}, source())

    assert gone.wait(PATIENCE)
    assert not received.endswith(b"0\r\n\r\n")


def test_who_refuses_a_body_is_heard(serve: MakeServer) -> None:
    refused = threading.Event()

    def handler(connection: socket.socket) -> None:
        head(connection)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        refused.set()
        # Reading a little and closing with the rest unread resets the connection.
        time.sleep(0.05)

    def source() -> Iterator[bytes]:
        yield b"x"
        refused.wait(PATIENCE)
        time.sleep(0.2)
        yield from [b"x" * 65536] * 100

    try:
        response = client_of(serve(handler)).request("Putting", "PUT", "/", {}, source())
    except StorageUnavailable:
        return  # the reset overtook what was said; then it is a broken connection
    assert response.status == 413


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 6\r\n\r\nhello",
        OK + b"Transfer-Encoding: chunked\r\n\r\n6\r\nhello",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello",
    ],
)
def test_a_body_that_breaks_off_is_an_error(serve: MakeServer, answer: bytes) -> None:
    response = ask(client_of(serve(answering(answer))))

    with pytest.raises(StorageUnavailable, match=r"Asking failed: .*; try again\."):
        response.read()


def test_a_body_of_unknown_length_is_refused_because_its_end_would_prove_nothing(serve: MakeServer) -> None:
    response = ask(client_of(serve(answering(OK + b"\r\nhello"))))

    with pytest.raises(StorageError, match="how long"):
        response.read()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 2",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
        OK + b"".join(b"X-%d: y\r\n" % number for number in range(200)) + b"\r\n",
    ],
    ids=["nothing", "half a line", "another protocol", "a long header", "many headers"],
)
def test_what_is_no_answer_is_an_error(serve: MakeServer, answer: bytes) -> None:
    with pytest.raises(StorageUnavailable, match="Asking failed"):
        ask(client_of(serve(answering(answer))))


def test_an_answer_that_is_too_long_is_not_collected(serve: MakeServer) -> None:
    response = ask(client_of(serve(answering(HELLO))))

    with pytest.raises(StorageError, match="longer than 4 bytes"):
        response.read(4)


def test_nobody_there_is_an_error_at_once() -> None:
    with pytest.raises(StorageUnavailable, match="Connection refused"):
        ask(HttpClient(f"http://{LOOPBACK}:{free_port()}"))


def test_a_name_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(StorageUnavailable, match="Asking failed"):
        ask(HttpClient("http://no-such-host.invalid"))


def test_silence_is_an_error_after_a_time(serve: MakeServer) -> None:
    begin = time.monotonic()

    with pytest.raises(StorageUnavailable, match="says nothing"):
        ask(client_of(serve(silent), timeout=0.2))

    assert time.monotonic() - begin < 5


def test_silence_in_a_body_is_an_error_after_a_time(serve: MakeServer) -> None:
    def handler(connection: socket.socket) -> None:
        head(connection)
        connection.sendall(OK + b"Content-Length: 6\r\n\r\nhello")
        silent(connection)

    response = ask(client_of(serve(handler), timeout=0.2))

    with pytest.raises(StorageUnavailable, match="says nothing"):
        response.read()


def test_who_does_not_read_is_given_up_after_a_time(serve: MakeServer) -> None:
    over = threading.Event()

    def handler(connection: socket.socket) -> None:
        head(connection)
        over.wait(60)

    with pytest.raises(StorageUnavailable, match="says nothing"):
        client_of(serve(handler), timeout=0.2).request("Putting", "PUT", "/", {}, b"x" * 50_000_000)
    over.set()


def test_a_slow_answer_is_one(serve: MakeServer) -> None:
    def handler(connection: socket.socket) -> None:
        head(connection)
        for byte in HELLO:
            connection.sendall(bytes([byte]))
            time.sleep(0.2)

    assert ask(client_of(serve(handler), timeout=5)).read() == b"hello"


def test_a_cancelled_operation_waits_no_longer(serve: MakeServer) -> None:
    interruption = Interruption()
    server = serve(silent)
    threading.Timer(0.2, interruption.cancel, [Cancelled(operation="backup", phase="")]).start()
    begin = time.monotonic()

    with interruption.applied(), pytest.raises(Cancelled):
        ask(client_of(server))

    assert time.monotonic() - begin < 5


def test_the_time_of_a_step_counts(serve: MakeServer) -> None:
    interruption = Interruption()

    with interruption.applied(), interruption.limited("sending", 0.2), pytest.raises(TimedOut):
        ask(client_of(serve(silent)))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def secured(authority: Authority, *hosts: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue(*hosts))
    return context


def test_a_server_that_somebody_vouches_for_is_trusted(serve: MakeServer, authority: Authority) -> None:
    content = os.urandom(3_000_000)
    answer = OK + b"Content-Length: %d\r\n\r\n" % len(content) + content
    server = serve(answering(answer, HELLO), secured(authority, "localhost"))
    client = HttpClient(f"https://localhost:{server.port}", ca_file=str(authority.file))

    assert b"".join(ask(client).chunks()) == content
    assert ask(client).read() == b"hello"


@pytest.mark.parametrize("vouched", [False, True])
def test_a_server_that_nobody_vouches_for_is_not_asked(serve: MakeServer, authority: Authority, vouched: bool) -> None:
    seen: list[bytes] = []
    server = serve(lambda connection: seen.append(head(connection)), secured(authority, "other.example"))
    client = HttpClient(f"https://localhost:{server.port}", ca_file=str(authority.file) if vouched else None)

    with pytest.raises(StorageError, match="not trusted") as caught:
        ask(client)

    assert not isinstance(caught.value, StorageUnavailable), "trying again is useless"
    assert seen == []


def test_a_server_without_tls_is_no_server_with_it(serve: MakeServer, authority: Authority) -> None:
    server = serve(lambda connection: connection.sendall(HELLO))

    with pytest.raises(StorageUnavailable):
        ask(HttpClient(f"https://localhost:{server.port}", ca_file=str(authority.file)))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "store.example",
        "ftp://store.example",
        "file:///etc/passwd",
        "http://",
        "http://:80",
        "http://store.example:port",
        "http://store.example:99999",
        "http://[::1",
        "http://store.example/?a=b",
        "http://store.example/#a",
        "https://name:secret@store.example",
    ],
)
def test_what_is_no_url_of_a_server_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        HttpClient(url)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "authority", "port", "path"),
    [
        ("http://store.example", "store.example", 80, ""),
        ("https://store.example/", "store.example", 443, ""),
        ("http://store.example:8080/v1/a/", "store.example:8080", 8080, "/v1/a"),
        ("http://[::1]:81", "[::1]:81", 81, ""),
    ],
)
def test_a_url_says_whom_to_ask(url: str, authority: str, port: int, path: str) -> None:
    client = HttpClient(url)

    assert (client.authority, client.port, client.path) == (authority, port, path)


def test_a_ca_file_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    for name in ("none.pem", "empty.pem"):
        with pytest.raises(InvalidValue, match=name):
            HttpClient("https://store.example", ca_file=str(tmp_path / name))


def test_a_closed_client_connects_anew(serve: MakeServer) -> None:
    server = serve(answering(HELLO))
    client = client_of(server)
    ask(client).read()
    client.close()

    assert ask(client).read() == b"hello"
    assert server.connections == 2


def test_the_errors_are_those_of_stores_and_have_ids_of_their_own() -> None:
    for kind in (StorageUnavailable, StorageDenied):
        assert issubclass(kind, StorageError)
        assert kind.id != StorageError.id
        assert str(kind(subject="Asking", problem="no")).endswith(".")
