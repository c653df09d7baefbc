"""Ports of the tests' own."""

import socket
from pathlib import Path

from guestagent.conformance.ports import LOOPBACK, Ports


def test_a_port_is_free_and_given_out_once():
    ports = Ports()

    given = [ports.free() for _ in range(50)]

    assert len(set(given)) == 50
    for port in given:
        with socket.socket() as listener:
            listener.bind((LOOPBACK, port))


def test_no_outgoing_connection_can_be_given_the_port():
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    ports = Ports()

    assert not any(first <= ports.free() <= last for _ in range(50))


def test_a_port_that_is_taken_is_not_given_out():
    taken: set[int] = set()
    listeners = []
    try:
        for _ in range(20):
            listener = socket.socket()
            listener.bind((LOOPBACK, Ports().free()))
            listeners.append(listener)
            taken.add(listener.getsockname()[1])
        # The same seed: it meets the same candidates in the same order.
        assert Ports().free() not in taken
    finally:
        for listener in listeners:
            listener.close()
    assert len(taken) == 20
