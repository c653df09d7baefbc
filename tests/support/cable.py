"""A bad cable: passes bytes on between a client and a server, whatever they mean, and breaks when it is told to."""

import contextlib
import select
import socket
import ssl
import struct
import threading
import time
import types
from typing import Self

from guestagent.conformance.ports import LOOPBACK

PIECE = 1 << 16
RESET = struct.pack("ii", 1, 0)
"""For ``SO_LINGER``: closing then resets the connection."""
PATIENCE = 30.0


class Cable:
    """A port of the loopback interface that leads to another one.

    Unlike :class:`tests.support.faults.FaultyLink` it passes on what comes as it comes: a server behind it sees the
    half of a request.

    :param upstream: the other port.
    :param tls: what the client speaks with us; none: nothing of that kind.
    :ivar plugged: the connections that were made.
    :ivar sent: bytes from clients that were passed on.
    :ivar break_after: bytes of a client after which its connection is reset, on both sides; none: never.
    :ivar damage_at: the byte of a client that is another one when it arrives, for one connection; none: no one.
    :ivar pace: bytes of a client that are passed on in a second; none: as many as come.
    """

    def __init__(self, upstream: int, tls: ssl.SSLContext | None = None) -> None:
        self._upstream = upstream
        self._tls = tls
        self.plugged = 0
        self.sent = 0
        self.break_after: int | None = None
        self.damage_at: int | None = None
        self.pace: int | None = None
        self._generation = 0
        self._connections = threading.Lock()
        """Held while there comes to be another one, so that nobody meets half of it."""
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def unplug(self) -> None:
        """End the connections that there are, in good order, and wait until they have ended."""
        with self._connections:
            self._generation += 1
            threads = self._threads[1:]
        for thread in threads:
            thread.join(PATIENCE)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(PATIENCE)
        self.unplug()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._connections:
                self.plugged += 1
                thread = threading.Thread(target=self._lead, args=(client, self._generation), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _lead(self, client: socket.socket, generation: int) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            if self._tls is not None:
                client.settimeout(PATIENCE)
                client = self._tls.wrap_socket(client, server_side=True)
            stack.enter_context(client)
            server = stack.enter_context(socket.create_connection((LOOPBACK, self._upstream), PATIENCE))
            passed = 0
            while self._generation == generation:
                ready, _, _ = select.select([client, server], [], [], 0.05)
                if server in ready:
                    if not (piece := server.recv(PIECE)):
                        return
                    client.sendall(piece)
                while client in ready or _pending(client):
                    ready = []
                    piece = client.recv(min(PIECE, max(1, self.pace // 20)) if self.pace else PIECE)
                    if not piece:
                        return
                    self._pass_on(piece, passed, client, server)
                    passed += len(piece)

    def _pass_on(self, piece: bytes, passed: int, client: socket.socket, server: socket.socket) -> None:
        if self.damage_at is not None and passed <= self.damage_at < passed + len(piece):
            damaged = bytearray(piece)
            damaged[self.damage_at - passed] ^= 1
            piece, self.damage_at = bytes(damaged), None
        if self.break_after is not None and passed + len(piece) > self.break_after:
            server.sendall(piece[: max(0, self.break_after - passed)])
            for end in (client, server):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            raise ConnectionResetError
        server.sendall(piece)
        self.sent += len(piece)
        if self.pace:
            time.sleep(len(piece) / self.pace)


def _pending(client: socket.socket) -> int:
    """Bytes that TLS has decrypted already: no select tells of them."""
    return client.pending() if isinstance(client, ssl.SSLSocket) else 0
