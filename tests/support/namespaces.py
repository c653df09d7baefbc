"""A network of a guest's own: two namespaces and a cable, and doors between there and this machine's loopback."""

import contextlib
import ctypes
import os
import socket
import subprocess
import threading
import types
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

from guestagent.conformance.ports import LOOPBACK

Made = TypeVar("Made")
Connect = Callable[[], socket.socket]
CLONE_NEWNET = 0x40000000
CHUNK = 1 << 16


class Network:
    """The guest's namespace and that of whoever is at the other end of its cable.

    Nothing of it is seen outside: the addresses exist in the two namespaces only.
    """

    host, guest, prefix = "10.77.0.1", "10.77.0.2", 24
    interface = "eth0"

    def __init__(self) -> None:
        name = uuid.uuid4().hex[:8]
        self._spaces = (f"guest-{name}", f"host-{name}")
        self._doors: list[socket.socket] = []

    @property
    def namespace(self) -> Path:
        """The guest's namespace, for systemd-nspawn."""
        return Path("/run/netns", self._spaces[0])

    @property
    def settings(self) -> str:
        """Of the guest's end, as systemd-networkd reads them."""
        # Nobody at the other end announces IPv6, which would be waited for before the network counts as online.
        alone = "LinkLocalAddressing=no\nIPv6AcceptRA=no\n"
        return f"[Match]\nName={self.interface}\n[Network]\nAddress={self.guest}/{self.prefix}\n{alone}"

    def __enter__(self) -> Self:
        guest, host = self._spaces
        for space in self._spaces:
            _ip("netns", "add", space)
        _ip("-n", host, "link", "add", "guest", "type", "veth", "peer", "name", self.interface, "netns", guest)
        _ip("-n", host, "address", "add", f"{self.host}/{self.prefix}", "dev", "guest")
        _ip("-n", host, "link", "set", "guest", "up")
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: types.TracebackType | None
    ) -> None:
        for door in self._doors:
            # Wakes the thread that waits there.
            door.shutdown(socket.SHUT_RDWR)
            door.close()
        for space in self._spaces:
            _ip("netns", "delete", space)

    def open_door(self, port: int) -> None:
        """Let the guest reach a port of this machine's loopback as the same port of the host's address."""
        door = self._inside(lambda: socket.create_server((self.host, port)))
        self._hold(door, lambda: socket.create_connection((LOOPBACK, port)))

    def let_in(self, port: int, guests_port: int) -> None:
        """Let this machine reach a port of the guest as a port of its own loopback."""

        def connect() -> socket.socket:
            return self._inside(lambda: socket.create_connection((self.guest, guests_port), timeout=30))

        self._hold(socket.create_server((LOOPBACK, port)), connect)

    def _hold(self, door: socket.socket, connect: Connect) -> None:
        self._doors.append(door)
        threading.Thread(target=_serve, args=(door, connect), daemon=True).start()

    def _inside(self, make: Callable[[], Made]) -> Made:
        """Do it in the host's namespace; a socket stays in the one that it was made in."""
        made: list[Made] = []
        errors: list[OSError] = []

        def work() -> None:
            try:
                _enter(Path("/run/netns", self._spaces[1]))
                made.append(make())
            except OSError as error:
                errors.append(error)

        # A namespace is a thread's.
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return made[0]


def _enter(namespace: Path) -> None:
    handle = os.open(namespace, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(handle, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(handle)


def _serve(door: socket.socket, connect: Connect) -> None:
    while True:
        try:
            came, _ = door.accept()
        except OSError:
            return
        try:
            behind = connect()
        except OSError:
            came.close()
            continue
        for source, target in ((came, behind), (behind, came)):
            threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(CHUNK):
            target.sendall(chunk)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=60)
