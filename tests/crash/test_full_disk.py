"""The disk of the data or of the agent's state is full: what is asked for is refused, and done when there is room."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestagent.contract.operations import CodePath
from tests.crash import moments, scenarios
from tests.crash.cases import Undisturbed, go_undisturbed, told, unsettled
from tests.crash.conftest import MakeGuest
from tests.crash.devices import device
from tests.crash.guest import PATIENCE, Guest
from tests.crash.moments import Moment
from tests.crash.scenarios import Scenario
from tests.crash.state import differences, litter, state_of
from tests.functional.system.conftest import tool

TRIED = {
    "create databases",
    "drop a database",
    "create users",
    "change passwords",
    "rename a user",
    "write overrides",
    "let nobody write",
    "enable TLS",
    "disable TLS",
    "publish a log that is off",
    "apply modules",
}
SAMPLED = {"create users", "write overrides", "enable TLS"}
"""Where not everything is tried, and on one code path only."""
VOLUME_MIB, STATE_MIB = 160, 16
SMALL = "[mysqld]\ninnodb_log_file_size = 4M\ninnodb_buffer_pool_size = 8M\ninnodb_temp_data_file_path = ibtmp1:12M\n"

tried = pytest.mark.parametrize(
    "scenario",
    scenarios.sampled([one for one in scenarios.on_a_prepared_guest() if one.name in TRIED], SAMPLED),
)


@pytest.fixture(scope="module", params=scenarios.BOTH_PATHS, ids=lambda path: path.value)
def path(request: pytest.FixtureRequest) -> CodePath:
    """The code path."""
    return CodePath(request.param)


@pytest.fixture(scope="module")
def on_a_small_volume(
    make_guest: MakeGuest, path: CodePath, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guest]:
    """A guest with its data on a small device."""
    with device(tmp_path_factory.mktemp("volume"), VOLUME_MIB) as volume:
        guest = make_guest(path, options={"mariadb": {"statement_timeout": 5}})
        guest.volume.rmdir()
        guest.prepare(device_path=volume.path, mount_point=str(guest.volume), config_contents=SMALL)
        guest.wait_for_rest()
        yield guest
        guest.close()


@pytest.fixture(scope="module")
def with_a_small_state(
    make_guest: MakeGuest, path: CodePath, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guest]:
    """A guest with the agent's state on a small device."""
    with device(tmp_path_factory.mktemp("state"), STATE_MIB) as volume:
        guest = make_guest(path)
        guest.agent.state_dir.mkdir()
        tool("mkfs.ext4", "-q", "-m", "0", volume.path)
        tool("mount", volume.path, str(guest.agent.state_dir))
        guest.prepare()
        guest.wait_for_rest()
        yield guest
        guest.close()


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
        assert shutil.disk_usage(directory).free == 0
        yield
    finally:
        filler.unlink()


@tried
def test_a_full_volume_ruins_nothing(on_a_small_volume: Guest, scenario: Scenario) -> None:
    _try_full(on_a_small_volume, scenario, on_a_small_volume.volume)


@tried
def test_a_full_state_directory_ruins_nothing(with_a_small_state: Guest, scenario: Scenario) -> None:
    _try_full(with_a_small_state, scenario, with_a_small_state.agent.state_dir)


def test_what_was_left_is_done_when_the_state_directory_has_room_again(with_a_small_state: Guest) -> None:
    guest = with_a_small_state
    (scenario,) = (one for one in scenarios.USERS if one.name == "create users")
    undisturbed = go_undisturbed(guest, scenario)
    scenario.arrange(guest)
    guest.script.kill_at(Moment("create_user", moments.AFTER, "create user 2", "create it"))
    sent = scenario.send(guest)
    guest.wait_for_death()
    with full(guest.agent.state_dir):
        guest.agent.start()
        with contextlib.suppress(AssertionError):
            guest.agent.process.wait(2)
        guest.agent.kill()
    guest.boot()
    details = guest.end_of(sent)
    guest.wait_for_rest()
    if details["state"] == "done":
        assert told(differences(undisturbed.after, state_of(guest))) == []
    else:
        assert told(unsettled(scenario, undisturbed, state_of(guest))) == []
        assert details["error"]
    assert litter(guest) == []


def _try_full(guest: Guest, scenario: Scenario, directory: Path) -> None:
    undisturbed = go_undisturbed(guest, scenario)
    scenario.arrange(guest)
    guest.wait_for_rest()
    with full(directory):
        problem = _ask(guest, scenario)
        guest.wait_for_rest()
        found = state_of(guest)
        left = litter(guest)
    if problem is None:
        assert told(differences(undisturbed.after, found)) == []
    else:
        assert "full" in problem or "No space left" in problem, problem
        assert told(unsettled(scenario, undisturbed, found)) == []
    assert left == []
    _goes_well(guest, scenario, undisturbed)


def _ask(guest: Guest, scenario: Scenario) -> str | None:
    """Have the operation done; the sentence with which it was refused or failed, or none."""
    reported = len(guest.conductor.reports)
    sent = scenario.send(guest)
    if sent.answer is not None:
        failure = sent.answer.reply().failure
        return failure.message if failure else None
    told = guest.conductor.wait_for(
        lambda report: (
            report.method in ("notify_end", "notify_exc_info")
            and report.args["serialized_notification"]["request_id"] == sent.request_id
        ),
        PATIENCE,
        after=reported,
        what=f"the end of {scenario.name}",
    )
    return None if told.method == "notify_end" else str(told.args["message"])


def _goes_well(guest: Guest, scenario: Scenario, undisturbed: Undisturbed) -> None:
    scenario.arrange(guest)
    guest.end_of(scenario.send(guest))
    guest.wait_for_rest()
    assert told(differences(undisturbed.after, state_of(guest))) == []
