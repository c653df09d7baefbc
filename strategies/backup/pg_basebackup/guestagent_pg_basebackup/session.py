"""A session of the server's replication protocol: commands, and the streams that come and go with them.

Source: PostgreSQL's documentation, "Frontend/Backend Protocol" and "Streaming Replication Protocol".
"""

import contextlib
import enum
import io
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Self

import msgspec
from oslo_log import log

from guestagent.contract.errors import DatastoreDown, DatastoreError
from guestagent.system import waiting

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer

LOG = log.getLogger(__name__)

PROTOCOL: Final = 3 << 16
RECEIVED_BYTES: Final = 1 << 18
"""Room for what the server has sent and nobody has read yet."""
SENT_BYTES: Final = 1 << 16
"""Of a file that is sent, in one message."""
LARGEST: Final = 1 << 26
"""Bytes of a message at most; what is longer comes from no server."""
LONG_WAIT: Final = 24 * 3600.0
"""Seconds of one wait; what waits has no end of its own, and then waits on."""
DATASTORE: Final = "PostgreSQL"

Row = list[str | None]
"""Of an answer: a value for each column, in text."""


class Kind(enum.Enum):
    """The messages of a server that mean something here."""

    AUTHENTICATION = b"R"
    READY = b"Z"
    ERROR = b"E"
    NOTICE = b"N"
    ROW = b"D"
    COPY_IN = b"G"
    COPY_OUT = b"H"
    COPY_DATA = b"d"
    COPY_DONE = b"c"
    OTHER = b""

    @classmethod
    def _missing_(cls, value: object) -> "Kind":
        return cls.OTHER


class Address(msgspec.Struct, frozen=True):
    """Where a server is, and the role that our account may be there.

    :ivar socket: of the file system.
    """

    socket: Path
    role: str

    @classmethod
    def read(cls, service_file: Path) -> Self:
        """The one of a file of connection services that has one service.

        :raises DatastoreDown: there is no such file, or none in it.
        """
        try:
            known = dict(line.split("=", 1) for line in service_file.read_text().splitlines() if "=" in line)
            return cls(Path(known["host"]) / f".s.PGSQL.{known['port']}", known["user"])
        except OSError as error:
            raise DatastoreDown(datastore=DATASTORE, problem=f"{service_file}: {error.strerror}") from None
        except KeyError as error:
            raise DatastoreDown(datastore=DATASTORE, problem=f"{service_file} has no {error}") from None


class Session:
    """A session; its block ends it, and what the server does for it.

    :param subject: what is done in it, for errors.
    :raises DatastoreDown: the server does not answer.
    :raises DatastoreError: it does not let us in.
    """

    def __init__(self, address: Address, subject: str) -> None:
        self._subject = subject
        with contextlib.ExitStack() as opened:
            self._socket = opened.enter_context(socket.socket(socket.AF_UNIX))
            # From here on, so that one that lets too many others wait is as good as none.
            self._socket.setblocking(False)
            try:
                self._socket.connect(str(address.socket))
            except OSError as error:
                raise DatastoreDown(datastore=DATASTORE, problem=f"{address.socket}: {error.strerror}") from None
            self._received = io.BufferedReader(_Received(self._socket), RECEIVED_BYTES)
            facts = ("user", address.role, "replication", "true", "")
            self._send(b"", PROTOCOL.to_bytes(4, "big") + b"".join(fact.encode() + b"\0" for fact in facts))
            self._rows_until(Kind.READY)
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.close()

    def execute(self, command: str) -> list[Row]:
        """Have a command done.

        :returns: what it answers.
        :raises DatastoreError: the server refuses, in its own words.
        """
        self._query(command)
        return self._rows_until(Kind.READY)

    def send(self, command: str, content: BinaryIO) -> None:
        """Have a command done that reads a file.

        :raises DatastoreError: the server refuses, in its own words.
        """
        self._query(command)
        self._rows_until(Kind.COPY_IN)
        while chunk := content.read(SENT_BYTES):
            self._send(b"d", chunk)
        self._send(b"c", b"")
        self._rows_until(Kind.READY)

    def begin(self, command: str) -> list[Row]:
        """Begin with a command that answers with a stream, which :meth:`pieces` and :meth:`end` read.

        :returns: what it answers before.
        :raises DatastoreError: the server refuses, in its own words.
        """
        self._query(command)
        return self._rows_until(Kind.COPY_OUT)

    def pieces(self) -> Iterator[bytes]:
        """The stream of the command that was begun.

        :raises DatastoreError: the server has failed.
        """
        while (message := self._next())[0] is not Kind.COPY_DONE:
            if message[0] is Kind.COPY_DATA:
                yield message[1]

    def end(self) -> list[Row]:
        """See that a command has ended well, whose stream was read.

        :returns: what it answers afterwards.
        :raises DatastoreError: it has not.
        """
        return self._rows_until(Kind.READY)

    def _query(self, command: str) -> None:
        self._send(b"Q", command.encode() + b"\0")

    def _rows_until(self, end: Kind) -> list[Row]:
        rows = []
        while (message := self._next())[0] is not end:
            if message[0] is Kind.ROW:
                rows.append(_row(message[1]))
        return rows

    def _next(self) -> tuple[Kind, bytes]:
        """The next message that is no notice."""
        while True:
            kind, content = self._message()
            if kind is Kind.ERROR:
                raise self._failed(_Said.read(content).sentence)
            if kind is Kind.AUTHENTICATION and any(content):
                raise self._failed("the server wants to know a password")
            if kind is not Kind.NOTICE:
                return kind, content
            said = _Said.read(content)
            LOG.log(log.WARNING if said.severity == "WARNING" else log.DEBUG, "PostgreSQL says: %s", said.sentence)

    def _message(self) -> tuple[Kind, bytes]:
        head = self._read(5)
        size = int.from_bytes(head[1:], "big") - 4
        if not 0 <= size <= LARGEST:
            raise self._failed(f"what it sent is no message of a server: one of {size} bytes")
        return Kind(head[:1]), self._read(size)

    def _read(self, size: int) -> bytes:
        try:
            found = self._received.read(size)
        except ConnectionError as error:
            raise self._failed(f"the connection is lost: {error.strerror}") from None
        if len(found) < size:
            raise self._failed("the server has ended the session")
        return found

    def _send(self, kind: bytes, content: bytes) -> None:
        unsent = memoryview(kind + (len(content) + 4).to_bytes(4, "big") + content)
        while unsent:
            try:
                unsent = unsent[self._socket.send(unsent) :]
            except BlockingIOError:
                _wait(self._socket, select.POLLOUT)
            except ConnectionError:
                # What it has said before is why.
                return

    def _failed(self, problem: str) -> DatastoreError:
        return DatastoreError(subject=self._subject, problem=problem)


class _Received(io.RawIOBase):
    """What comes through a socket, waited for so that a cancel is heard."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "Buffer") -> int:
        while True:
            try:
                return self._connection.recv_into(buffer)
            except BlockingIOError:
                _wait(self._connection, select.POLLIN)


class _Said(msgspec.Struct, frozen=True):
    """What the server says about itself: an error, a warning, a notice."""

    severity: str
    sentence: str

    @classmethod
    def read(cls, content: bytes) -> Self:
        fields = {field[:1]: field[1:].decode(errors="replace") for field in content.split(b"\0") if field}
        parts = (fields.get(kind) for kind in (b"M", b"D", b"H"))
        return cls(fields.get(b"V", ""), ". ".join(part.rstrip(".") for part in parts if part))


def _row(content: bytes) -> Row:
    reader = io.BytesIO(content)

    def number(size: int) -> int:
        return int.from_bytes(reader.read(size), "big", signed=True)

    sizes = (number(4) for _ in range(number(2)))
    return [None if size < 0 else reader.read(size).decode() for size in sizes]


def _wait(connection: socket.socket, event: int) -> None:
    poller = select.poll()
    poller.register(connection, event)
    waiting.poll(poller, time.monotonic() + LONG_WAIT)
