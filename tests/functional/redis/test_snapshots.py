"""Holding a real server still for a snapshot: what users were told is on the disk, and nobody waits for ever."""

import shutil
import threading
import time
from pathlib import Path

import pytest
from guestagent_redis.manager import RedisManager

from guestagent.capabilities.snapshots import LetGoEarlier
from guestagent.conformance.poll import eventually
from guestagent.contract.users import User
from tests.functional.redis.machine import Machine, machine, prepare
from tests.support.machine import CONTEXT, PASSWORD, user

SOON = 10.0
"""Seconds within which what is let go is done, on a machine that is busy with other tests."""


def writes(guest: Machine, within: float = 0.5) -> bool:
    """Whether a client's write ends within some seconds."""
    ended = threading.Event()

    def write() -> None:
        guest.ask("keeper", PASSWORD, "INCR", "counter")
        ended.set()

    threading.Thread(target=write, daemon=True).start()
    return ended.wait(within)


@pytest.fixture(autouse=True)
def keeper(guest: Machine, manager: RedisManager) -> None:
    if manager.get_user(CONTEXT, "keeper") is None:
        manager.create_user(CONTEXT, [user("keeper")])


@pytest.mark.parametrize("kept", [False, True], ids=["dump", "log"])
def test_a_copy_of_the_volume_holds_what_was_written(
    guest: Machine, manager: RedisManager, tmp_path: Path, kept: bool
) -> None:
    manager.apply_overrides(CONTEXT, {"appendonly": kept})
    guest.ask("keeper", PASSWORD, "SET", "told", str(kept))
    found = manager.pre_create_backup(CONTEXT)
    assert set(found) == {"replication_id", "offset"}
    try:
        assert not writes(guest)
        # Reading goes on, and so does the agent's own.
        assert guest.ask("keeper", PASSWORD, "GET", "told") == str(kept)
        manager.create_user(CONTEXT, [user("meanwhile")])
        manager.delete_user(CONTEXT, User("meanwhile"))
        shutil.copytree(guest.volume / "data", tmp_path / "copy")
    finally:
        assert manager.post_create_backup(CONTEXT) == {}
    assert writes(guest, SOON)
    with machine(datastore=guest.datastore) as other:
        shutil.copytree(tmp_path / "copy", other.volume / "data")
        for path in (other.volume / "data", *(other.volume / "data").rglob("*")):
            if other.account:
                shutil.chown(path, other.account, other.account)
        prepare(other.manager())
        assert other.ask("keeper", PASSWORD, "GET", "told") == str(kept)


def test_one_that_nobody_ends_is_ended_by_a_guard_and_said_to_be_of_no_use(
    guest: Machine, manager: RedisManager
) -> None:
    guest.conf.set_override("freeze_limit", 5, "backup")
    try:
        manager.pre_create_backup(CONTEXT)
        assert not writes(guest)
        eventually(lambda: writes(guest), timeout=30)
        with pytest.raises(LetGoEarlier):
            manager.post_create_backup(CONTEXT)
    finally:
        guest.conf.clear_override("freeze_limit", "backup")


def test_the_next_agent_lets_the_data_go_at_once(guest: Machine) -> None:
    forgotten = guest.manager()
    with forgotten.held_still():
        assert not writes(guest)
        guest.manager().tidy()
        assert writes(guest, SOON)


def test_an_agent_that_dies_lets_the_data_go(guest: Machine) -> None:
    guest.conf.set_override("freeze_limit", 5, "backup")
    try:
        forgotten = guest.manager()
        with forgotten.held_still():
            held = time.monotonic()
            forgotten.client.close()
            assert not writes(guest)
            # Nobody lifts it here: the server does, and not before a guard would, who says that it was too early.
            eventually(lambda: writes(guest), timeout=30)
            assert time.monotonic() - held > 5
    finally:
        guest.conf.clear_override("freeze_limit", "backup")
