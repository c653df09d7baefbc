"""The demo as a user runs it: it tells its story to the end, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from guestagent.conformance.poll import eventually
from guestagent.conformance.rabbit import Rabbit

ROOT = Path(__file__).parents[3]
SECONDS = 110
"""Well under two minutes is what the demo promises."""
MILESTONES = (
    r"agent +the image declares mariadb: guestagent-mariadb ",
    r"conductor +heard a heartbeat: building",
    r"agent +supports \d+ of \d+ calls; what it lacks: backups, replication$",
    r"control plane +casts prepare\(",
    r"agent +prepare 1/\d: ",
    r"conductor +heard a heartbeat: healthy",
    r"conductor +heard that create_database has ended well",
    r"agent +answers \[\[\{\"_name\": \"shop\"",
    r"conductor +heard that create_user has ended well",
    r"agent +answers \[\[\{\"_name\": \"alice\"",
    r"user +finds green and red apples",
    r"agent +refuses: Operation 'get_txn_count' is not supported by the 'mariadb' datastore",
    r"conductor +heard that create_backup has failed: Operation 'create_backup' is not supported",
    r"user +sees max_connections = 123",
    r"conductor +heard a heartbeat: restarting",
    r"conductor +heard a heartbeat: healthy",
    r"user +sees max_connections = 123",
    r"user +finds green and red apples",
    r"conductor +heard a heartbeat: shutdown",
    r"agent +has finished what it was doing, and is gone",
    r"^All as expected",
)


def start(directory: Path, environment: Mapping[str, str]) -> "subprocess.Popen[str]":
    """Start the demo with its temporary files in the directory."""
    return subprocess.Popen(
        [sys.executable, "-m", "examples.demo"],
        cwd=ROOT,
        env={**os.environ, "TRANSPORT_URL": "", "TMPDIR": str(directory), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(demo: "subprocess.Popen[str]") -> str:
    """The rest of the demo's output when it has ended."""
    try:
        return demo.communicate(timeout=SECONDS)[0]
    except subprocess.TimeoutExpired:
        demo.send_signal(signal.SIGINT)
        output, _ = demo.communicate(timeout=SECONDS)
        pytest.fail(f"it took longer than {SECONDS} s:\n{output}")


def assert_nothing_is_left(directory: Path) -> None:
    assert list(directory.iterdir()) == []
    eventually(lambda: not processes_of(directory), message=lambda: f"still there: {processes_of(directory)}")


def processes_of(directory: Path) -> list[str]:
    """The command lines that name the directory."""
    lines = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                lines.append((entry / "cmdline").read_text(errors="replace").replace("\0", " "))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return [line for line in lines if str(directory) in line]


def queues_of(broker: Rabbit) -> set[str]:
    return set(broker.control("list_queues", "--no-table-headers", "name").split())


def assert_tells_its_story(output: str) -> None:
    position = 0
    for milestone in MILESTONES:
        found = re.compile(milestone, re.MULTILINE).search(output, position)
        assert found, f"{milestone!r} is missing in what follows:\n{output[position:]}"
        position = found.end()


def test_it_tells_its_story_on_the_embedded_bus(guests_dir: Path) -> None:
    demo = start(guests_dir, {})
    output = finish(demo)
    assert demo.returncode == 0, output
    assert_tells_its_story(output)
    assert "\033" not in output, "colours are for terminals"
    assert set(re.findall(r'"_password": ("[^"]*"|null)', output)) == {'"***"', "null"}
    assert_nothing_is_left(guests_dir)


def test_it_tells_the_same_story_over_a_broker(guests_dir: Path, broker: Rabbit) -> None:
    before = queues_of(broker)
    demo = start(guests_dir, {"TRANSPORT_URL": broker.url})
    output = finish(demo)
    assert demo.returncode == 0, output
    assert_tells_its_story(output)
    assert_nothing_is_left(guests_dir)
    left = {queue for queue in queues_of(broker) - before if not queue.startswith("reply_")}
    assert left == set(), "only queues for answers may stay, which the broker drops by itself after a while"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_in_the_middle_it_leaves_nothing(guests_dir: Path, number: signal.Signals) -> None:
    demo = start(guests_dir, {})
    assert demo.stdout is not None
    assert any("prepare 1/" in line for line in demo.stdout)
    demo.send_signal(number)
    output = finish(demo)
    assert demo.returncode == 130, output
    assert_nothing_is_left(guests_dir)


def test_a_transport_that_cannot_be_used_is_a_failure(guests_dir: Path) -> None:
    demo = start(guests_dir, {"TRANSPORT_URL": "nonsense"})
    assert finish(demo)
    assert demo.returncode == 1
    assert_nothing_is_left(guests_dir)
