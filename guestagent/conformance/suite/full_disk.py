"""The disk of the data or of the agent's state is full: what is asked for is refused, and done when there is room."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from guestagent.conformance.claims import claims, given
from guestagent.conformance.disk import Disk, MakeDisk
from guestagent.conformance.guest import PATIENCE, MakeGuest
from guestagent.conformance.killed_agent import AFTER
from guestagent.conformance.mortal import MortalGuest
from guestagent.conformance.poll import eventually
from guestagent.conformance.suite import volumes
from guestagent.conformance.suite.deaths import WIDE, again, go_undisturbed, mortal_guest, unsettled
from guestagent.conformance.suite.scenarios import ON_A_PREPARED_GUEST
from guestagent.conformance.suite.scenarios.scenario import Scenario
from guestagent.conformance.suite.state import keep_something
from guestagent.system import command

VOLUME_MIB: Final = 320
STATE_MIB: Final = 16
TOOL_SECONDS: Final = 60
LITTLE: Final = 1 << 16
"""Bytes with which nothing can be done."""
SAMPLE: Final = {"create users", "write overrides", "enable TLS"}
TRIED: Final = SAMPLE | {
    "create databases",
    "drop a database",
    "change passwords",
    "rename a user",
    "let nobody write",
    "disable TLS",
    "publish a log",
    "apply a module",
}
SCENARIOS: Final = [one for one in ON_A_PREPARED_GUEST if one.name in (TRIED if WIDE else SAMPLE)]
NO_ROOM: Final = ("full", "no space left", "no room")
"""How a sentence says it."""


@claims("prepare", "mount_volume")
@given("write", "read")
class TestFullVolume:
    """No byte is free where the data are."""

    @pytest.fixture(scope="class")
    @classmethod
    def on_disk(cls, make_disk: MakeDisk, make_guest: MakeGuest) -> Iterator[MortalGuest]:
        """A guest with its data on a small disk."""
        disk, guest = make_disk(VOLUME_MIB), mortal_guest(make_guest)
        with living_on(disk, guest, **volumes.volume(guest, disk)):
            yield guest

    @pytest.mark.parametrize("meant", SCENARIOS, ids=lambda scenario: scenario.name)
    def test_it_ruins_nothing(self, on_disk: MortalGuest, meant: Scenario) -> None:
        try_without_room(on_disk, meant, volumes.mount_point(on_disk))


@claims("prepare")
@given("write", "read")
class TestFullState:
    """No byte is free where the agent keeps its journal."""

    @pytest.fixture(scope="class")
    @classmethod
    def on_disk(cls, make_disk: MakeDisk, make_guest: MakeGuest) -> Iterator[MortalGuest]:
        """A guest with the agent's state on a small disk."""
        disk, guest = make_disk(STATE_MIB), mortal_guest(make_guest)
        guest.agent.state_dir.mkdir()
        command.run(["mkfs.ext4", "-q", "-m", "0", disk.path], timeout=TOOL_SECONDS)
        command.run(["mount", disk.path, str(guest.agent.state_dir)], timeout=TOOL_SECONDS)
        with living_on(disk, guest):
            yield guest

    @pytest.mark.parametrize("meant", SCENARIOS, ids=lambda scenario: scenario.name)
    def test_it_ruins_nothing(self, on_disk: MortalGuest, meant: Scenario) -> None:
        try_without_room(on_disk, meant, on_disk.agent.state_dir)

    @claims("create_user", "list_users", "delete_user")
    def test_what_was_left_is_ended_when_there_is_room_again(self, on_disk: MortalGuest) -> None:
        [scenario] = (one for one in SCENARIOS if one.name == "create users")
        undisturbed = go_undisturbed(on_disk, scenario)
        scenario.arrange(on_disk)
        on_disk.script.kill_at([moment for moment in undisturbed.passed if moment.kind == AFTER][-1])
        request_id, _ = on_disk.send(scenario.call, scenario.arguments(on_disk))
        on_disk.agent.wait_for_death()
        with full(on_disk.agent.state_dir):
            on_disk.agent.start()
            with contextlib.suppress(AssertionError):
                on_disk.agent.process.wait(2)
            on_disk.agent.kill()
        on_disk.agent.boot(on_disk.wire)
        ended = eventually(
            lambda: on_disk.operation(request_id, ended=True), timeout=PATIENCE, message=on_disk.agent.tail
        )
        assert ended["state"] == "done" or ended["error"]
        assert unsettled(on_disk, scenario, undisturbed, ended["state"]) == []


@contextlib.contextmanager
def living_on(disk: Disk, guest: MortalGuest, **preparation: Any) -> Iterator[None]:
    """The guest has been prepared so, and lets the disk go at the end."""
    guest.prepare(**preparation)
    keep_something(guest)
    guest.wait_for_rest()
    yield
    guest.close()
    disk.unmount()


@contextlib.contextmanager
def full(directory: Path) -> Iterator[None]:
    """All the space is taken in the block, to the last byte."""
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as stream:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    stream.write(bytes(size))
    try:
        # A server that works on may have given something back.
        assert shutil.disk_usage(directory).free < LITTLE
        yield
    finally:
        filler.unlink()


def try_without_room(guest: MortalGuest, scenario: Scenario, directory: Path) -> None:
    """Ask for an operation while a disk is full, and again when it is not.

    :raises AssertionError: something is not as it must be.
    """
    undisturbed = go_undisturbed(guest, scenario)
    scenario.arrange(guest)
    guest.wait_for_rest()
    with full(directory):
        refused = guest.attempt(scenario.call, scenario.arguments(guest))
        guest.wait_for_rest()
    # A server that finds no room may end, and is started again.
    if refused is not None and refused.kind != "DatastoreDown":
        assert any(words in refused.sentence.lower() for words in NO_ROOM), refused
    wrong = unsettled(guest, scenario, undisturbed, "failed" if refused else "done", renewed=True)
    assert wrong + again(guest, scenario, undisturbed, renewed=True) == []
