"""The machine loses its power: the agent, the server, the run directory and the journal's last writes are gone."""

import dataclasses
import shutil
import struct
from pathlib import Path
from typing import Self

import pytest

from guestagent.conformance.poll import eventually
from guestagent.contract.operations import CodePath
from tests.crash import moments, scenarios
from tests.crash.cases import NEXT_START, Undisturbed, choose, either, go_undisturbed, told, without
from tests.crash.conftest import MakeGuest
from tests.crash.guest import PATIENCE, Guest
from tests.crash.moments import Moment
from tests.crash.scenarios import Scenario
from tests.crash.state import differences, litter, state_of

HEADER, FRAME_HEADER = 32, 24
"""Bytes of a write-ahead log and of its frames; see SQLite's documentation, "WAL-mode File Format"."""
COPIED_AT = 96
"""Where the log's index has the number of the frames that are in the database as well; see the same."""
SAMPLED = {"create users": (1, 3), "change the certificate": (4,)}
"""The operations that are tried where not all are, and how many frames are lost."""
LOST = (1, 2, 3, 4, 5, 6)


@pytest.fixture(scope="module", params=scenarios.BOTH_PATHS, ids=lambda path: path.value)
def guest(request: pytest.FixtureRequest, make_guest: MakeGuest) -> Guest:
    """A prepared guest."""
    guest = make_guest(request.param)
    guest.prepare()
    guest.wait_for_rest()
    guest.keep()
    return guest


@pytest.mark.parametrize("scenario", scenarios.sampled(scenarios.on_a_prepared_guest(), SAMPLED))
def test_an_operation_whose_last_notes_are_lost_leaves_no_ruin(
    guest: Guest, scenario: Scenario, is_whole: bool, only: str
) -> None:
    guest.restore()
    guest.boot()
    undisturbed = go_undisturbed(guest, scenario)
    later = [moment for moment in undisturbed.passed if moment.kind != moments.ACCEPTING and only in str(moment)]
    found = [
        f"{lost} frames lost at {moment}: {wrong}"
        for lost in (LOST if is_whole else SAMPLED[scenario.name])
        for moment in choose(later, f"{scenario.name} {lost} {guest.path.value}", 1)
        for wrong in _cut_the_power(guest, scenario, undisturbed, moment, lost)
    ]
    assert not found, "\n".join(found)


def _cut_the_power(guest: Guest, scenario: Scenario, undisturbed: Undisturbed, moment: Moment, lost: int) -> list[str]:
    scenario.arrange(guest)
    guest.wait_for_rest()
    guest.script.kill_at(moment)
    log = guest.agent.state_dir / "journal.db-wal"
    # What came before has been heard of, and the disk has had the time.
    since = Frames.of(log)
    sent = scenario.send(guest)
    guest.wait_for_death()
    guest.kill_server()
    lose_frames(log, lost, since)
    shutil.rmtree(guest.agent.directory / "run")
    guest.boot()
    found = without(state_of(guest), NEXT_START)
    wrong = litter(guest)
    details = guest.operation(sent)
    expected = undisturbed.without(NEXT_START)
    # Who has lost the last word on an operation may do it once more, do it not at all, or take it back.
    halves = {
        name: both
        for name, both in differences(expected.before, found).items()
        if both[1] not in either(expected, name) and not name.startswith((*scenario.may_differ, *scenario.forgotten))
    }
    wrong += told(halves)
    if details is not None and details["state"] == "done":
        wrong += told(differences(expected.after, found))
    scenario.arrange(guest)
    guest.end_of(scenario.send(guest))
    guest.wait_for_rest()
    return wrong + [f"asked again: {text}" for text in told(differences(undisturbed.after, state_of(guest)))]


@pytest.mark.parametrize("lost", [3, *(pytest.param(number, marks=pytest.mark.whole) for number in (1, 6))])
def test_an_instance_comes_up_when_the_last_notes_are_lost(make_guest: MakeGuest, lost: int, is_whole: bool) -> None:
    guest = make_guest(CodePath.CONVERGENCE)
    undisturbed = go_undisturbed(guest, scenarios.PREPARATION)
    steps = [moment for moment in undisturbed.passed if moment.kind == moments.AFTER]
    for moment in steps if is_whole else choose(steps, f"prepare {lost}", 1):
        scenarios.PREPARATION.arrange(guest)
        guest.script.kill_at(moment)
        sent = scenarios.PREPARATION.send(guest)
        guest.wait_for_death()
        guest.kill_server()
        lose_frames(guest.agent.state_dir / "journal.db-wal", lost)
        shutil.rmtree(guest.agent.directory / "run", ignore_errors=True)
        guest.boot()
        if guest.operation(sent) is None:
            # The journal has lost all of it. Somebody asks again.
            sent = scenarios.PREPARATION.send(guest)
        details = guest.end_of(sent)
        guest.wait_for_rest()
        assert details["state"] == "done", f"{moment}: {details['error']}"
        assert told(differences(undisturbed.after, state_of(guest))) + litter(guest) == [], str(moment)


@dataclasses.dataclass(frozen=True)
class Frames:
    """What is in a write-ahead log.

    :ivar salts: another log, which was begun when all of the one before was in the database, has others.
    :ivar number: of the frames.
    :ivar size: of each in bytes.
    """

    salts: bytes
    number: int
    size: int

    @classmethod
    def of(cls, log: Path) -> Self:
        """Those of a log, without whatever of an older one follows them."""
        content = log.read_bytes() if log.exists() else b""
        if len(content) < HEADER:
            return cls(b"", 0, 0)
        (page,) = struct.unpack(">I", content[8:12])
        salts, size = content[16:24], FRAME_HEADER + page
        number = 0
        while content[HEADER + number * size + 8 : HEADER + number * size + 16] == salts:
            number += 1
        return cls(salts, number, size)


def lose_frames(log: Path, number: int, since: Frames | None = None) -> None:
    """Take the last frames from a write-ahead log.

    Those that are in the database stay: it gets none before the log is on the disk.

    :param since: what was in it before, and stays.
    """
    found = Frames.of(log)
    if not found.number:
        return
    index = log.with_name(log.name.removesuffix("-wal") + "-shm").read_bytes()
    (copied,) = struct.unpack_from("=I", index, COPIED_AT)
    kept = since.number if since and since.salts == found.salts else 0
    left = max(kept, min(copied, found.number), found.number - number)
    with log.open("r+b") as stream:
        stream.truncate(HEADER + left * found.size)


def test_frames_are_lost_from_the_end(guest: Guest) -> None:
    guest.restore()
    guest.boot()
    guest.execute("CREATE DATABASE IF NOT EXISTS lost_1")
    log = guest.agent.state_dir / "journal.db-wal"
    guest.do("grant_access", username="keeper", hostname="%", databases=["lost_1"])
    eventually(lambda: log.stat().st_size > HEADER, timeout=PATIENCE)
    sent = guest.send("grant_access", {"username": "keeper", "hostname": "%", "databases": ["lost_1"]})
    guest.end_of(sent)
    guest.agent.kill()
    lose_frames(log, 1000)
    guest.boot()
    assert guest.operation(sent) is None
