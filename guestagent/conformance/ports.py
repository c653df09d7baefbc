"""Ports of the tests' own."""

import contextlib
import socket
from collections import deque
from collections.abc import Iterator
from pathlib import Path

LOOPBACK = "127.0.0.1"
FIRST = 10000
PROCESSES = 16
"""How many processes can have ports at the same time; each has some 1400."""


class Ports:
    """Gives out free ports of the loopback interface, which no other process gives out meanwhile.

    Tests run side by side, and a port is free to look at until its server has started, and again
    while it is stopped. So each process takes every sixteenth port, from a start that is its own
    until it ends, however it ends.

    They lie below the range from which the kernel picks ports for outgoing connections. A server
    that is stopped and started again therefore finds its port free: no client that tried to reach
    it meanwhile can have been given the very port, nor be connected to itself.

    :param among: the name by which the processes know of each other.
    """

    def __init__(self, among: str = "guestagent-ports") -> None:
        self._among = among
        self._claim: socket.socket | None = None
        self._candidates: deque[int] = deque()

    def free(self) -> int:
        """A port that nobody listens on now; given out again only after all others.

        :raises RuntimeError: there is none, or too many processes have ports.
        """
        if self._claim is None:
            self._claim_some()
        for _ in range(len(self._candidates)):
            port = self._candidates.popleft()
            self._candidates.append(port)
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.bind((LOOPBACK, port))
                return port
        raise RuntimeError("no free port is left on the loopback interface")

    def _claim_some(self) -> None:
        first_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        for start in range(PROCESSES):
            claim = socket.socket(socket.AF_UNIX)
            try:
                # The kernel's, not a file's: it ends with the process, and counts where the loopback interface does.
                claim.bind(f"\0{self._among}-{start}")
            except OSError:
                claim.close()
                continue
            self._claim = claim
            self._candidates.extend(range(FIRST + start, max(first_ephemeral, FIRST + 1000), PROCESSES))
            return
        raise RuntimeError(f"{PROCESSES} processes have ports already; run fewer tests side by side")


free_port = Ports().free
"""A port of the loopback interface that nobody listens on, nor is given it meanwhile by another process of tests."""


def listens(port: int) -> bool:
    """Whether somebody takes connections on a port of the loopback interface."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def blocked_port(port: int) -> Iterator[None]:
    """Somebody else listens on a port as long as the block lasts."""
    with socket.create_server((LOOPBACK, port)):
        yield
