"""The protocol: what is sent, what is understood, and what ends a connection."""

import io
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from guestagent_redis import resp
from guestagent_redis.administrator import Administrator
from guestagent_redis.client import Client

from guestagent.contract.errors import DatastoreDown, DatastoreError, GuestAgentError

Says = Callable[[bytes], resp.Reply]


class Sink:
    """A socket that keeps what it is sent."""

    def __init__(self) -> None:
        self.sent = b""

    def sendall(self, data: bytes) -> None:
        self.sent += data


def reply(said: bytes) -> resp.Reply:
    return resp.call(Sink(), io.BytesIO(said), "PING")  # type: ignore[arg-type]


def test_a_command_is_an_array_of_bytes_whatever_is_in_it() -> None:
    sink = Sink()
    resp.call(sink, io.BytesIO(b"+OK\r\n"), "SET", "k\r\n", b"\xff\0", 7, "ü")  # type: ignore[arg-type]
    assert sink.sent == b"*5\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$2\r\n\xff\0\r\n$1\r\n7\r\n$2\r\n\xc3\xbc\r\n"


@pytest.mark.parametrize(
    ("said", "understood"),
    [
        (b"+OK\r\n", "OK"),
        (b":-12\r\n", -12),
        (b"$5\r\na\r\nbc\r\n", "a\r\nbc"),
        (b"$0\r\n\r\n", ""),
        (b"$-1\r\n", None),
        (b"*-1\r\n", None),
        (b"*0\r\n", []),
        (b"*3\r\n$1\r\na\r\n*2\r\n:1\r\n$-1\r\n+b\r\n", ["a", [1, None], "b"]),
        (b"$1\r\n\xff\r\n", "\\xff"),
    ],
)
def test_every_kind_of_reply(said: bytes, understood: resp.Reply) -> None:
    assert reply(said) == understood


def test_an_error_has_a_code_and_words() -> None:
    with pytest.raises(resp.Refused) as refused:
        reply(b"-WRONGPASS invalid username-password pair\r\n")
    assert (refused.value.code, refused.value.words) == ("WRONGPASS", "invalid username-password pair")


@pytest.mark.parametrize("said", [b"", b"+O", b"$5\r\nabc", b"*2\r\n:1\r\n", b"HTTP/1.1 400 Bad Request\r\n", b"\r\n"])
def test_what_is_cut_off_or_no_reply_ends_the_connection(said: bytes) -> None:
    with pytest.raises(OSError, match="server"):
        reply(said)


@pytest.fixture
def says(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[bytes], Client]]:
    """A client of a server that says the given bytes to whoever connects, whatever it is asked."""
    directory: Path = tmp_path_factory.mktemp("s")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(directory / "socket"))
    listening.listen()
    administrator = Administrator("agent", directory / "credentials", directory / "socket", "redis")
    administrator.renew()
    held: list[socket.socket] = []

    def serve(said: bytes) -> Client:
        def answer() -> None:
            held.append(listening.accept()[0])
            held[-1].sendall(said)

        threading.Thread(target=answer, daemon=True).start()
        return Client(administrator, lambda: 1)

    yield serve
    for connection in (listening, *held):
        connection.close()


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        (b"-WRONGPASS no\r\n", DatastoreDown, "did not let the agent in: WRONGPASS no"),
        (b"-ERR max number of clients reached\r\n", DatastoreDown, "max number of clients"),
        (b"+OK\r\n-LOADING Redis is loading the dataset in memory\r\n", DatastoreDown, "is loading"),
        (b"+OK\r\n-BUSY Redis is busy running a script\r\n", DatastoreDown, "busy"),
        (b"+OK\r\n-ERR unknown command\r\n", DatastoreError, "Asking failed: unknown command"),
        (b"+OK\r\n-MISCONF disk\r\n", DatastoreError, "MISCONF disk"),
        (b"+OK\r\n", DatastoreDown, "within 1 s"),
        (b"+OK\r\nnonsense\r\n", DatastoreDown, "does not speak RESP"),
    ],
)
def test_what_the_server_says_is_told_as_what_it_means(
    says: Callable[[bytes], Client], said: bytes, error: type[GuestAgentError], words: str
) -> None:
    client = says(said)
    with pytest.raises(error, match=words):
        client.ask("Asking", "PING")


def test_nobody_listens(tmp_path: Path) -> None:
    administrator = Administrator("agent", tmp_path / "credentials", tmp_path / "socket", "redis")
    with pytest.raises(DatastoreDown, match="No such file"):
        Client(administrator, lambda: 1).ask("Asking", "PING")
