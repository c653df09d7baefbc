"""RESP2, the protocol of the server: commands as arrays of bytes, replies of five kinds. See redis.io, "RESP"."""

import socket
from pathlib import Path
from typing import BinaryIO

Word = str | bytes | int
Reply = str | int | list["Reply"] | None


class Refused(Exception):
    """The server's answer is an error.

    :ivar code: its first word, in capital letters, such as ``ERR`` or ``NOAUTH``.
    :ivar words: the rest.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code, _, self.words = text.partition(" ")


class Connection:
    """One connection to a server.

    :param path: of the server's socket.
    :param timeout: seconds that it may be silent.
    :raises OSError: the server cannot be reached. All methods raise that too, and then it is of no more use.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(str(path))
        except BaseException:
            self._socket.close()
            raise
        self._replies: BinaryIO = self._socket.makefile("rb")

    def call(self, *words: Word) -> Reply:
        """The reply to a command; see :func:`call`."""
        return call(self._socket, self._replies, *words)

    def close(self) -> None:
        """Close it; repeating it is safe."""
        self._replies.close()
        self._socket.close()


def call(connection: socket.socket, replies: BinaryIO, *words: Word) -> Reply:
    """Send a command and read the reply.

    Texts come as ``str``; what is no UTF-8 in them is shown with backslashes.

    :param replies: what comes from the connection.
    :raises Refused: the reply is an error.
    :raises OSError: the server is gone, silent for too long, or speaks otherwise.
    """
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    framed = b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
    connection.sendall(b"*%d\r\n%b" % (len(parts), framed))
    return _read(replies)


def _read(replies: BinaryIO) -> Reply:
    line = replies.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionError("the server closed the connection")
    kind, text = line[:1], line[1:-2].decode(errors="backslashreplace")
    match kind:
        case b"+":
            return text
        case b"-":
            raise Refused(text)
        case b":":
            return int(text)
        case b"$":
            return None if text == "-1" else _read_text(replies, int(text))
        case b"*":
            return None if text == "-1" else [_read(replies) for _ in range(int(text))]
    raise ConnectionError("the server does not speak RESP")


def _read_text(replies: BinaryIO, length: int) -> str:
    text = replies.read(length + 2)
    if len(text) < length + 2:
        raise ConnectionError("the server closed the connection")
    return text[:-2].decode(errors="backslashreplace")
