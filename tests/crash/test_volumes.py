"""The agent is killed while it mounts, unmounts and grows a volume on a real device."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from guestagent.contract.operations import CodePath
from tests.crash.cases import go_undisturbed, see_some
from tests.crash.conftest import MakeGuest
from tests.crash.devices import beside
from tests.crash.guest import Guest
from tests.crash.scenarios import on_a_volume


@pytest.fixture(scope="module", params=CodePath, ids=lambda path: path.value)
def guest(request: pytest.FixtureRequest, make_guest: MakeGuest) -> Guest:
    """A prepared guest."""
    guest = make_guest(request.param)
    guest.prepare()
    guest.wait_for_rest()
    return guest


@pytest.fixture(params=["ext4", pytest.param("xfs", marks=pytest.mark.whole)])
def filesystem(request: pytest.FixtureRequest) -> str:
    """What the volume holds."""
    return str(request.param)


@pytest.fixture
def device(guest: Guest, filesystem: str, tmp_path: Path) -> Iterator[str]:
    """A device beside those of the guest, whose size belongs to the guest's state."""
    with beside(guest, tmp_path, filesystem) as path:
        yield path


@pytest.mark.parametrize("number", range(3), ids=["mount", "unmount", "grow"])
def test_a_volume_survives_the_agent(
    guest: Guest, device: str, filesystem: str, number: int, is_whole: bool, only: str
) -> None:
    scenario = on_a_volume(device, guest.home / "extra", filesystem)[number]
    see_some(guest, scenario, go_undisturbed(guest, scenario), is_whole, only)
