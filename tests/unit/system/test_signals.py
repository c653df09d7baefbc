"""Signals that the main thread waits for, whatever the other threads do."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

ROUNDS = 2000
LISTENER = """
import signal, sys, threading
from guestagent.system.signals import Signals

signals = Signals(signal.SIGHUP, signal.SIGTERM)

def compute():
    while True:
        sum(range(1000))

sys.setswitchinterval(0.0005)
for _ in range(2):
    threading.Thread(target=compute, daemon=True).start()
print("listening", flush=True)
while True:
    number = signals.wait()
    print(number.name, flush=True)
    if number is signal.SIGTERM:
        break
"""


@pytest.fixture
def listener() -> Iterator["subprocess.Popen[str]"]:
    """A process whose main thread waits for signals while two others compute."""
    with subprocess.Popen([sys.executable, "-c", LISTENER], stdout=subprocess.PIPE, text=True) as process:
        assert hear(process) == "listening"
        yield process
        process.kill()


def _pass_time(seconds: float) -> None:
    """Let less time pass than a sleep would, so that signals come at every moment of the way into the wait."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def hear(process: "subprocess.Popen[str]") -> str:
    """The next line that the process writes."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_every_signal_is_heard_when_it_comes(listener: "subprocess.Popen[str]") -> None:
    for number in range(ROUNDS):
        _pass_time(number % 100 * 2e-6)
        listener.send_signal(signal.SIGHUP)
        assert hear(listener) == "SIGHUP"
    listener.send_signal(signal.SIGTERM)
    assert hear(listener) == "SIGTERM"
    assert listener.wait(10) == 0


def test_a_signal_that_somebody_else_handles_is_not_heard() -> None:
    code = (
        "import os, signal\n"
        "from guestagent.system.signals import Signals\n"
        "signals = Signals(signal.SIGTERM)\n"
        "signal.signal(signal.SIGUSR2, lambda number, frame: None)\n"
        "os.kill(os.getpid(), signal.SIGUSR2)\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "print(signals.wait().name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "SIGTERM\n"
