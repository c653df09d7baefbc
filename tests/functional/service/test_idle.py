"""An agent that nobody asks anything writes nothing, however long it beats."""

from pathlib import Path

import pytest

from guestagent.conformance.agent import AgentProcess
from guestagent.conformance.conductor import Conductor
from guestagent.conformance.wire import Wire, request_context
from tests.conftest import MakeAgent
from tests.support.sleeper import DATASTORE

WARM_UP_BEATS = 2
"""Afterwards nothing is imported for the first time, which may write byte code."""
IDLE_BEATS = 4
NOTIFICATION = "trove.common.notification.DBaaSDatabaseCreate"


@pytest.fixture
def agent(make_agent: MakeAgent, wire: Wire, conductor: Conductor) -> AgentProcess:
    """One with operations behind it, which has told of their ends."""
    made = make_agent(DATASTORE)
    # Its log is not what it keeps: on a machine that is busy, a library may warn of something.
    made.log.symlink_to("/dev/null")
    made.boot(wire)
    wire.call(made.guest_id, "restart")
    arguments = {"databases": [{"_name": "shop"}]}
    wire.cast(made.guest_id, "create_database", arguments, context=request_context(NOTIFICATION))
    conductor.wait_for_method(made.guest_id, "notify_end")
    wait_for_beats(conductor, made, WARM_UP_BEATS)
    return made


def wait_for_beats(conductor: Conductor, agent: AgentProcess, number: int) -> None:
    """Return when so many more heartbeats have been heard."""
    for _ in range(number):
        conductor.wait_for_status(agent.guest_id, "healthy", after=len(conductor.reports))


def files(directory: Path) -> dict[str, tuple[int, int, int]]:
    """Which files there are, each with its inode, its size and when it was written last."""
    found = {}
    for path in directory.rglob("*"):
        status = path.stat()
        found[str(path.relative_to(directory))] = status.st_ino, status.st_size, status.st_mtime_ns
    return found


def written_bytes(agent: AgentProcess) -> int:
    """What the process has had the kernel write to disks so far, that in memory mapped from files included."""
    counters = dict(line.split(": ") for line in Path(f"/proc/{agent.process.pid}/io").read_text().splitlines())
    return int(counters["write_bytes"])


def test_its_files_stay_as_they_are(agent: AgentProcess, conductor: Conductor) -> None:
    before = files(agent.directory)
    assert "state/journal.db" in before

    wait_for_beats(conductor, agent, IDLE_BEATS)

    assert files(agent.directory) == before


def test_it_has_nothing_written_to_the_disk(agent: AgentProcess, conductor: Conductor) -> None:
    before = written_bytes(agent)
    assert before > 0, "the kernel does not count, or the agent's directory is in memory"

    wait_for_beats(conductor, agent, IDLE_BEATS)

    assert written_bytes(agent) == before
