"""A peer that says what a test has written down, in the server's own form."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from guestagent_pg_basebackup.session import Address, Session

LET_IN = b"R\0\0\0\x08\0\0\0\0" + b"Z\0\0\0\x05I"


def message(kind: bytes, content: bytes = b"") -> bytes:
    return kind + (len(content) + 4).to_bytes(4, "big") + content


def row(*values: str | None) -> bytes:
    columns = (
        b"\xff\xff\xff\xff" if value is None else len(value.encode()).to_bytes(4, "big") + value.encode()
        for value in values
    )
    return message(b"D", len(values).to_bytes(2, "big") + b"".join(columns))


def problem(kind: bytes, severity: str, text: str, detail: str = "") -> bytes:
    fields = [f"S{severity}", f"V{severity}", "CXX000", f"M{text}", *([f"D{detail}"] if detail else [])]
    return message(kind, b"".join(field.encode() + b"\0" for field in fields) + b"\0")


def data(content: bytes) -> bytes:
    return message(b"d", b"d" + content)


@contextlib.contextmanager
def server(directory: Path, said: bytes, *, ends: bool = True) -> Iterator[Address]:
    """It hears one session out, and says all that it has to say.

    :param ends: says that this was all; otherwise it keeps silent until the session ends.
    """
    path = directory / "socket"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(1)

        def talk() -> None:
            connection, _ = listening.accept()
            with connection, contextlib.suppress(ConnectionError):
                connection.sendall(said)
                if ends:
                    connection.shutdown(socket.SHUT_WR)
                while connection.recv(1 << 16):
                    pass

        talking = threading.Thread(target=talk)
        talking.start()
        yield Address(path, "agent")
        talking.join()


@contextlib.contextmanager
def session(directory: Path, said: bytes) -> Iterator[Session]:
    with server(directory, LET_IN + said) as address, Session(address, "The work") as made:
        yield made
