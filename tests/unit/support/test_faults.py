"""The bad link: what it passes on, and how it spoils."""

import http.client
import http.server
import threading
import time
from collections.abc import Iterator

import pytest

from guestagent.conformance.ports import LOOPBACK
from tests.support.faults import Fault, FaultyLink


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with what it was sent."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response_only(200)
        self.send_header("X-Host", self.headers["Host"])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_HEAD(self) -> None:
        self.send_response_only(200)
        self.send_header("Content-Length", "7")
        self.end_headers()


@pytest.fixture(scope="module")
def upstream() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer((LOOPBACK, 0), Echo)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture
def link(upstream: int) -> Iterator[FaultyLink]:
    with FaultyLink(upstream) as link:
        yield link


@pytest.fixture
def client(link: FaultyLink) -> Iterator[http.client.HTTPConnection]:
    client = http.client.HTTPConnection(LOOPBACK, link.port, timeout=10)
    yield client
    client.close()


def put(client: http.client.HTTPConnection, content: object = b"hello", target: str = "/a?b") -> tuple[int, bytes]:
    client.request("PUT", target, content)  # type: ignore[arg-type]
    answer = client.getresponse()
    return answer.status, answer.read()


def test_what_is_not_to_be_spoiled_is_passed_on_as_it_is(link: FaultyLink, client: http.client.HTTPConnection) -> None:
    assert put(client) == (200, b"hello")
    assert put(client, iter([b"he", b"llo"])) == (200, b"hello")
    client.request("PUT", "/", b"", {"Host": "somebody"})
    answer = client.getresponse()
    assert answer.read() == b""
    assert answer.getheader("X-Host") == "somebody"
    client.request("HEAD", "/")
    answer = client.getresponse()
    assert answer.read() == b""
    assert answer.getheader("Content-Length") == "7"
    assert link.seen("PUT") == 3
    assert link.seen("PUT", "?b") == 2


def test_an_answer_can_be_made_up(link: FaultyLink, client: http.client.HTTPConnection) -> None:
    link.spoil(Fault(status=503, body=b"busy"), method="PUT", target="?b", times=2)

    assert put(client, target="/other") == (200, b"hello")
    assert [put(client) for _ in range(3)] == [(503, b"busy"), (503, b"busy"), (200, b"hello")]


@pytest.mark.parametrize("fault", [Fault(unread=0), Fault(unread=3), Fault(lost=True)])
def test_a_request_can_be_reset(link: FaultyLink, client: http.client.HTTPConnection, fault: Fault) -> None:
    link.spoil(fault)

    with pytest.raises(ConnectionError):
        put(client)
    client.close()
    assert put(client) == (200, b"hello")


def test_an_answer_can_be_reset(link: FaultyLink, client: http.client.HTTPConnection) -> None:
    link.spoil(Fault(reset_after=2))

    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        put(client)


def test_an_answer_can_end_early(link: FaultyLink, client: http.client.HTTPConnection) -> None:
    link.spoil(Fault(truncate_after=2))

    with pytest.raises(http.client.IncompleteRead) as caught:
        put(client)
    assert caught.value.partial == b"he"


@pytest.mark.parametrize("fault", [Fault(delay=0.2), Fault(pace=25)])
def test_an_answer_can_be_slow(link: FaultyLink, client: http.client.HTTPConnection, fault: Fault) -> None:
    link.spoil(fault)
    begin = time.monotonic()

    assert put(client) == (200, b"hello")
    assert time.monotonic() - begin >= 0.15


def test_what_was_planned_can_be_forgotten(link: FaultyLink, client: http.client.HTTPConnection) -> None:
    link.spoil(Fault(status=500))
    link.heal()

    assert put(client) == (200, b"hello")
