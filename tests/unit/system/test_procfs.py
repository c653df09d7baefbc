"""Processes are told apart, although the kernel uses their ids again."""

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from guestagent.conformance.poll import eventually
from guestagent.system import procfs
from guestagent.system.procfs import Process


@pytest.fixture
def child() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(["/usr/bin/sleep", "600"], start_new_session=True) as child:
        yield child
        child.kill()


def process(pid: int) -> Process:
    found = procfs.look_up(pid)
    assert found is not None
    return found


def test_one_that_is_looked_at_twice_is_the_same(child: "subprocess.Popen[bytes]") -> None:
    first, second = process(child.pid), process(child.pid)
    assert first == second
    assert (first != second) is False
    assert len({first, second}) == 1
    assert first != process(os.getpid())
    assert first != child.pid


def test_one_that_nobody_has_taken_note_of_has_ended(child: "subprocess.Popen[bytes]") -> None:
    found = process(child.pid)
    assert found.is_running()
    os.kill(child.pid, signal.SIGKILL)
    assert procfs.wait([found], 10)
    eventually(lambda: process(child.pid).ended)
    assert not found.is_running()
    assert found not in list(procfs.running())


def test_a_signal_is_for_that_process_and_no_error_when_it_is_gone(child: "subprocess.Popen[bytes]") -> None:
    found = process(child.pid)
    procfs.send_signal(found, signal.SIGTERM)
    assert child.wait(10) == -signal.SIGTERM
    procfs.send_signal(found, signal.SIGTERM)
    assert procfs.look_up(child.pid) != found


def test_a_family_is_a_session_and_what_descends_from_it(child: "subprocess.Popen[bytes]") -> None:
    assert procfs.family(process(child.pid)) == [process(child.pid)]
    shell = ["/bin/sh", "-c", "/usr/bin/setsid /usr/bin/sleep 600 & /usr/bin/sleep 600 & wait"]
    with subprocess.Popen(shell, start_new_session=True) as leader:
        members = eventually(lambda: found if len(found := procfs.family(process(leader.pid))) == 3 else None)
        for member in members or []:
            procfs.send_signal(member, signal.SIGKILL)
