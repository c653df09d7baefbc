"""The agent is killed while it makes a backup or begins with one, or somebody who works for it: the store, the
conductor and the machine agree afterwards."""

import contextlib
import os
import signal

import pytest

from guestagent.conformance.poll import eventually
from guestagent.contract.operations import CodePath
from tests.crash import backups, scenarios
from tests.crash.backups import Backups
from tests.crash.cases import go_undisturbed, see_some
from tests.crash.conftest import MakeGuest
from tests.crash.guest import PATIENCE, Guest
from tests.crash.state import litter

WORKER, PROGRAM, SERVER = "guestagent.backup.worker", "mariadb-backup", "mariadbd"
SLOW = 2_000_000
"""Bytes of the database's stream in a second, of which it has some more."""

both_paths = pytest.mark.parametrize("path", CodePath, ids=lambda path: path.value)


@pytest.fixture(scope="module")
def stores(make_guest: MakeGuest) -> dict[CodePath, Backups]:
    """A prepared guest with a backup on each code path."""
    return {path: backups.prepared(make_guest, path) for path in CodePath}


@both_paths
@pytest.mark.parametrize("number", [0, pytest.param(1, marks=pytest.mark.whole)], ids=["full", "incremental"])
def test_a_backup_survives_the_agent(
    stores: dict[CodePath, Backups], path: CodePath, number: int, is_whole: bool, only: str
) -> None:
    store = stores[path]
    scenario = backups.on_a_store(store)[number]
    see_some(store.guest, scenario, go_undisturbed(store.guest, scenario), is_whole, only)


@pytest.mark.parametrize("path", scenarios.BOTH_PATHS, ids=lambda path: path.value)
def test_an_instance_begins_with_a_backup_or_has_failed(
    stores: dict[CodePath, Backups], path: CodePath, is_whole: bool, only: str
) -> None:
    store = stores[path]
    scenario = backups.restoration(store)
    see_some(store.guest, scenario, go_undisturbed(store.guest, scenario), is_whole, only)


@pytest.mark.parametrize("path", scenarios.BOTH_PATHS, ids=lambda path: path.value)
@pytest.mark.parametrize(
    "victim", [WORKER, pytest.param(PROGRAM, marks=pytest.mark.whole), pytest.param(SERVER, marks=pytest.mark.whole)]
)
def test_a_backup_whose_maker_or_server_dies_has_failed(
    stores: dict[CodePath, Backups], path: CodePath, victim: str
) -> None:
    store, guest = stores[path], stores[path].guest
    store.arrange(guest)
    guest.slow_down(io_limit=SLOW)
    try:
        sent = store.ask(guest)
        _kill(guest, victim)
        details = guest.end_of(sent)
    finally:
        guest.slow_down(io_limit=0)
    guest.wait_for_rest()
    assert details["state"] == "failed"
    assert backups.left_of_a_failed_one(store, guest, {"store.kept": store.look()["store.kept"]}) == []
    store.make()
    assert store.look()["store.made"] == [("full", "good")]


@pytest.mark.parametrize("path", scenarios.BOTH_PATHS, ids=lambda path: path.value)
def test_an_instance_whose_data_nobody_brings_to_an_end_has_failed(
    stores: dict[CodePath, Backups], path: CodePath
) -> None:
    store, guest = stores[path], stores[path].guest
    scenario = backups.restoration(store)
    scenario.arrange(guest)
    guest.slow_down(io_limit=SLOW)
    try:
        sent = scenario.send(guest)
        _kill(guest, WORKER)
        details = guest.end_of(sent)
    finally:
        guest.slow_down(io_limit=0)
    guest.wait_for_rest()
    assert details["state"] == "failed"
    assert WORKER in details["error"]
    assert not (guest.volume / "data").exists()
    guest.conductor.wait_for_status(guest.id, "failed to spawn")
    assert litter(guest) == []
    guest.end_of(scenario.send(guest))
    guest.wait_for_rest()
    assert litter(guest) == []
    assert guest.rows("SELECT * FROM kept.t") == [(1, "data")]


def _kill(guest: Guest, victim: str) -> None:
    """Kill a process of the guest when the data are on their way."""
    moving = (PROGRAM, "mbstream")
    eventually(
        lambda: any(name in line for line in guest.processes().values() for name in moving),
        timeout=PATIENCE,
        message=guest.agent.tail,
    )
    for pid, line in guest.processes().items():
        if victim in line:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
