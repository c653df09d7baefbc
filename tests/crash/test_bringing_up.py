"""The agent is killed while it brings an instance up: the next one goes on, or says that the instance has failed."""

import pytest

from guestagent.contract.operations import CodePath
from tests.crash import scenarios
from tests.crash.cases import go_undisturbed, see_some
from tests.crash.conftest import MakeGuest
from tests.crash.scenarios import Scenario


@pytest.mark.parametrize("path", CodePath, ids=lambda path: path.value)
@pytest.mark.parametrize("scenario", [scenarios.PREPARATION, scenarios.REBUILD], ids=lambda scenario: scenario.name)
def test_an_instance_comes_up_or_has_failed(
    make_guest: MakeGuest, scenario: Scenario, path: CodePath, is_whole: bool, only: str
) -> None:
    guest = make_guest(path)
    if scenario is scenarios.REBUILD:
        guest.prepare()
        guest.keep()
    see_some(guest, scenario, go_undisturbed(guest, scenario), is_whole, only)
