"""Ports of the tests' own."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from guestagent.conformance.ports import LOOPBACK, PROCESSES, Ports

GIVE = "from guestagent.conformance.ports import Ports; give = Ports().free; print(*(give() for _ in range(200)))"


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
    ports = Ports()
    given = [ports.free()]
    with socket.socket() as listener:
        listener.bind((LOOPBACK, given[0]))
        # Twice around: all that it has.
        while (port := ports.free()) not in given[1:]:
            given.append(port)

    assert given[0] not in given[1:]
    assert len(given) > 500


def test_no_other_process_is_given_the_port_before_its_server_has_started():
    ports = Ports()
    mine = {ports.free() for _ in range(200)}

    theirs = subprocess.run([sys.executable, "-c", GIVE], capture_output=True, text=True, check=True, timeout=60)

    assert len(set(theirs.stdout.split())) == 200
    assert mine.isdisjoint(map(int, theirs.stdout.split()))


def test_one_process_too_many_is_told_so():
    others = [Ports("a-test-of-ports") for _ in range(PROCESSES)]
    for each in others:
        each.free()

    with pytest.raises(RuntimeError, match="run fewer tests side by side"):
        Ports("a-test-of-ports").free()
