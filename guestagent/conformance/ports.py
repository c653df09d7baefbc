"""Ports of the tests' own."""

import contextlib
import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path

LOOPBACK = "127.0.0.1"


class Ports:
    """Gives out free ports of the loopback interface, each one once.

    They lie below the range from which the kernel picks ports for outgoing connections. A server
    that is stopped and started again therefore finds its port free: no client that tried to reach
    it meanwhile can have been given the very port, nor be connected to itself.
    """

    def __init__(self) -> None:
        first_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        self._candidates = list(range(10000, max(first_ephemeral, 11000)))
        random.Random(os.getpid()).shuffle(self._candidates)

    def free(self) -> int:
        """A port that nobody listens on now."""
        while self._candidates:
            port = self._candidates.pop()
            with socket.socket() as probe:
                try:
                    probe.bind((LOOPBACK, port))
                except OSError:
                    continue
                return port
        raise RuntimeError("no free port is left on the loopback interface")


free_port = Ports().free
"""A port of the loopback interface that nobody listens on, never given out twice in one process."""


@contextlib.contextmanager
def blocked_port(port: int) -> Iterator[None]:
    """Somebody else listens on a port as long as the block lasts."""
    with socket.create_server((LOOPBACK, port)):
        yield
