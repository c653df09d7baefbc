"""Calls to the agent of this machine over its socket, which needs no broker."""

import json
import socket
import time
from pathlib import Path
from typing import Any

from guestagent.contract.errors import GuestAgentError

CHUNK = 1 << 16
LARGEST = 1 << 26
"""Bytes of the largest answer; the capability document, which is the longest that is known, has 30 KiB."""


class Away(GuestAgentError):
    """There is no socket, nobody listens on it, we may not use it, or no answer came."""

    id = "local.away"
    sentence = "The guest agent does not answer on its socket {path}: {problem}."


class LocalFailure(GuestAgentError):
    """The agent answered with an error; the sentence is the agent's own.

    Its facts hold the ``remote_id`` of the error.
    """

    id = "local.failure"
    sentence = "{message}"


class LocalClient:
    """Talks to one agent, with a connection for each call, so that a restart of the agent is soon forgotten.

    :param path: of the socket, see :func:`guestagent.rpc.local.socket_path`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def probe(self, timeout: float) -> None:
        """See whether somebody listens who lets us in.

        :raises Away: nobody does.
        """
        with self._connected(timeout):
            pass

    def call(self, method: str, arguments: dict[str, Any], *, timeout: float) -> Any:
        """Make a call of our own namespace and return its result.

        :param timeout: seconds to wait for the answer.
        :raises LocalFailure: the agent refused or failed.
        :raises Away: no answer came.
        """
        request = json.dumps({"method": method, "arguments": arguments}).encode() + b"\n"
        deadline = time.monotonic() + timeout
        with self._connected(timeout) as connection:
            # An agent that refuses us says so without reading: its sentence is there although this fails.
            refused = self._send(connection, request)
            try:
                line = _line(connection, deadline)
            except OSError as error:
                problem = f"no answer within {timeout:g} s" if isinstance(error, TimeoutError) else _reason(error)
                raise Away(path=self._path, problem=problem) from None
        if line is None:
            raise Away(path=self._path, problem=refused or "it hung up before it answered")
        return self._understood(line)

    def _connected(self, timeout: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout)
            connection.connect(str(self._path))
        except OSError as error:
            connection.close()
            raise Away(path=self._path, problem=_reason(error)) from None
        return connection

    def _send(self, connection: socket.socket, request: bytes) -> str | None:
        try:
            connection.sendall(request)
        except OSError as error:
            return _reason(error)
        return None

    def _understood(self, line: bytes) -> Any:
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            answer = None
        match answer:
            case {"result": result}:
                return result
            case {"error": {"id": str(remote_id), "sentence": str(sentence)}}:
                raise LocalFailure(message=sentence, remote_id=remote_id)
        raise Away(path=self._path, problem="what it answers is none of its own answers")


def _line(connection: socket.socket, deadline: float) -> bytes | None:
    """One line without its end; none: the agent hung up."""
    pieces: list[bytes] = []
    size = 0
    while not (pieces and pieces[-1].endswith(b"\n")):
        left = deadline - time.monotonic()
        if left <= 0 or size > LARGEST:
            raise TimeoutError
        connection.settimeout(left)
        piece = connection.recv(CHUNK)
        if not piece:
            return None
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
