"""The agent is killed while it archives logs: each is in the store, whole and once, or waits for the next run."""

import pytest

from guestagent.conformance.poll import eventually
from guestagent.contract.operations import CodePath
from tests.crash import archives, scenarios
from tests.crash.archives import Archive
from tests.crash.cases import go_undisturbed, see_some
from tests.crash.conftest import MakeGuest
from tests.crash.guest import PATIENCE
from tests.crash.state import litter

SLOW = 100_000
"""Bytes of logs in a second, of which the first one has three times as many."""


@pytest.fixture(scope="module")
def stores(make_guest: MakeGuest) -> dict[CodePath, Archive]:
    """A prepared guest that archives on each code path."""
    return {path: archives.prepared(make_guest, path) for path in CodePath}


@pytest.mark.parametrize("path", scenarios.BOTH_PATHS, ids=lambda path: path.value)
def test_archived_logs_survive_the_agent(
    stores: dict[CodePath, Archive], path: CodePath, is_whole: bool, only: str
) -> None:
    archive = stores[path]
    scenario = archives.archiving(archive)
    see_some(archive.guest, scenario, go_undisturbed(archive.guest, scenario), is_whole, only)


@pytest.mark.parametrize("path", CodePath, ids=lambda path: path.value)
def test_half_a_log_is_finished_or_removed(stores: dict[CodePath, Archive], path: CodePath) -> None:
    archive, guest = stores[path], stores[path].guest
    scenario = archives.archiving(archive)
    undisturbed = go_undisturbed(guest, scenario)
    scenario.arrange(guest)
    guest.slow_down(io_limit=SLOW)
    try:
        sent = scenario.send(guest)
        eventually(lambda: archive.look()["archive.begun"], timeout=PATIENCE, message=guest.agent.tail)
        guest.agent.kill()
    finally:
        guest.slow_down(io_limit=0)
    guest.boot()
    resumed = path is CodePath.CONVERGENCE
    assert guest.end_of(sent)["state"] == ("done" if resumed else "failed")
    found = archive.look()
    assert found["archive.begun"] == []
    assert found["archive.damage"] == []
    assert not resumed or found["archive.logs"] == undisturbed.after["archive.logs"]
    assert litter(guest) == []
