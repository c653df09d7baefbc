"""The two forms of data on disk: whatever is configured, and whoever dies, nothing is lost on the way between them."""

import os
import signal
from collections.abc import Iterator

import pytest
from guestagent_redis.manager import RedisManager

from guestagent.conformance.poll import eventually
from guestagent.contract.errors import DatastoreError
from guestagent.system import files
from tests.functional.redis.machine import FLAVOUR, Machine, machine, prepare
from tests.support.machine import CONTEXT, PASSWORD, user
from tests.support.redis import INSTALLED


@pytest.fixture(scope="module", params=INSTALLED)
def datastore(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def guest(datastore: str) -> Iterator[Machine]:
    """An instance that keeps a dump, and has something in it."""
    with machine(datastore=datastore) as made:
        prepare(made.manager(), users=[user("keeper")], config_contents=f"{FLAVOUR}\nsave 3600 1\n")
        write(made, "first")
        yield made


def write(guest: Machine, *keys: str) -> None:
    for key in keys:
        guest.ask("keeper", PASSWORD, "SET", key, "1")


def holds(guest: Machine, *keys: str) -> bool:
    return guest.ask("keeper", PASSWORD, "EXISTS", *keys) == len(keys)


def attach(manager: RedisManager, kept: bool) -> None:
    manager.update_overrides(CONTEXT, {"appendonly": kept})
    manager.apply_overrides(CONTEXT, {"appendonly": kept})


def kill(guest: Machine) -> None:
    manager = guest.manager()
    pid = guest.processes.pid(manager.service())
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: guest.processes.pid(manager.service()) is None, message="the server survived")


def test_a_log_that_is_begun_live_holds_everything_when_the_power_goes(guest: Machine, manager: RedisManager) -> None:
    attach(manager, True)
    write(guest, "second")
    manager.client.ask("Syncing", "CONFIG", "SET", "appendfsync", "always")
    write(guest, "third")
    kill(guest)
    guest.manager().ensure_running()
    assert holds(guest, "first", "second", "third")


def test_a_log_that_is_asked_for_at_a_start_does_not_hide_the_dump(guest: Machine, manager: RedisManager) -> None:
    manager.update_overrides(CONTEXT, {"appendonly": True})
    manager.restart(CONTEXT)
    assert manager.client.settings("appendonly") == {"appendonly": "yes"}
    assert holds(guest, "first")
    write(guest, "second")
    manager.restart(CONTEXT)
    assert holds(guest, "first", "second")


def test_a_dump_that_is_asked_for_at_a_start_is_not_behind_the_log(guest: Machine, manager: RedisManager) -> None:
    attach(manager, True)
    manager.client.set("Keeping no dump", {"save": ""})
    write(guest, "second")
    manager.update_overrides(CONTEXT, {"appendonly": False, "save": ""})
    manager.restart(CONTEXT)
    assert manager.client.settings("appendonly", "save") == {"appendonly": "no", "save": ""}
    assert holds(guest, "first", "second")
    assert not manager.layout.append_manifest.parent.exists()
    kill(guest)
    guest.manager().ensure_running()
    assert holds(guest, "first", "second")


def test_a_log_that_is_ended_live_does_not_come_back(guest: Machine, manager: RedisManager) -> None:
    attach(manager, True)
    write(guest, "second")
    attach(manager, False)
    write(guest, "third")
    manager.restart(CONTEXT)
    assert holds(guest, "first", "second", "third")


def test_a_server_that_is_killed_before_its_log_is_whole_begins_with_the_dump(
    guest: Machine, manager: RedisManager
) -> None:
    manager.stop_db(CONTEXT)
    unfinished = manager.layout.append_manifest.parent
    files.ensure_directory(unfinished, owner=guest.account, group=guest.account)
    files.write(unfinished / "temp-appendonly.aof.incr", b"", owner=guest.account, group=guest.account)
    manager.update_overrides(CONTEXT, {"appendonly": True})
    manager.restart(CONTEXT)
    assert holds(guest, "first")


def test_what_the_agent_could_not_note_it_notes_at_its_next_start(guest: Machine, manager: RedisManager) -> None:
    manager.update_overrides(CONTEXT, {"appendonly": True})
    manager.client.set("Beginning it behind the agent's back", {"appendonly": "yes"})
    eventually(lambda: manager.append_log.exists)
    write(guest, "second")
    kill(guest)
    guest.manager().ensure_running()
    assert holds(guest, "first", "second")


def test_a_log_that_cannot_be_written_is_given_up_and_told(guest: Machine, manager: RedisManager) -> None:
    # In the way of the directory that the server would make.
    manager.layout.append_manifest.parent.write_text("")
    manager.update_overrides(CONTEXT, {"appendonly": True})
    with pytest.raises(DatastoreError, match="log"):
        manager.apply_overrides(CONTEXT, {"appendonly": True})
    assert manager.client.settings("appendonly") == {"appendonly": "no"}
    assert holds(guest, "first")
