"""From an empty machine to a running server, its starts and stops, and the deaths of both."""

from collections.abc import Iterator

import pytest

from guestagent.conformance.claims import claims, given
from guestagent.conformance.guest import Guest, MakeGuest
from guestagent.conformance.poll import eventually

LATE: dict[str, dict[str, object]] = {"create_database": {"databases": [{"_name": "late"}]}}
"""Arguments of calls for which nobody is there."""


def write(guest: Guest) -> None:
    """Have a user write something."""
    guest.datastore.write(guest.account, "lasting", "data")


def check_written(guest: Guest) -> None:
    """It is still there after the server has started anew, where the datastore keeps data."""
    if type(guest.datastore).keeps_data:
        assert guest.datastore.read(guest.account, "lasting") == "data"


@claims("prepare")
class TestPrepare:
    """What prepare leaves behind."""

    def test_the_control_plane_sees_it_being_built_and_healthy(self, guest: Guest) -> None:
        statuses = guest.conductor.statuses(guest.id)
        assert statuses[0] == "building"
        guest.wait_for_status("healthy")
        assert "failed to spawn" not in statuses
        assert guest.ask("get_status")["phase"] == "ready"

    @given("write", "read")
    def test_the_server_takes_data_and_gives_them_back(self, guest: Guest) -> None:
        assert guest.datastore.read(guest.account, "first") is None
        guest.datastore.write(guest.account, "first", "data")
        assert guest.datastore.read(guest.account, "first") == "data"

    def test_a_second_prepare_changes_nothing(self, guest: Guest) -> None:
        pid = guest.server_pid
        guest.prepare()
        assert guest.server_pid == pid
        assert guest.status() == "healthy"

    def test_before_prepare_nothing_is_done(self, make_guest: MakeGuest) -> None:
        blank = make_guest()
        blank.agent.boot(blank.wire)
        assert blank.refusal("restart").kind == "NotPrepared"
        assert blank.status() == "building"
        blank.close()


@claims("restart", "stop_db", "start_db_with_conf_changes")
class TestStartsAndStops:
    """What the control plane asks for."""

    @pytest.fixture(autouse=True)
    def running(self, guest: Guest) -> Iterator[None]:
        yield
        guest.do("restart")

    @given("write", "read")
    def test_a_restart_is_another_process_with_the_same_data(self, guest: Guest) -> None:
        write(guest)
        heard, pid = guest.heard, guest.server_pid
        guest.do("restart")
        guest.wait_for_status("restarting", after=heard)
        guest.wait_for_status("healthy", after=heard)
        assert guest.server_pid not in (pid, None)
        check_written(guest)

    def test_a_stopped_server_stays_stopped(self, guest: Guest) -> None:
        heard = guest.heard
        for _ in range(2):
            guest.do("stop_db")
            assert guest.status() == "shutdown"
        guest.wait_for_status("shutdown", after=heard)
        guest.reboot_agent()
        assert guest.status() == "shutdown"
        assert guest.server_pid is None

    def test_a_stopped_server_starts_on_request(self, guest: Guest) -> None:
        guest.do("stop_db")
        contents = {"config_contents": guest.datastore.config_contents}
        guest.do("start_db_with_conf_changes", config_contents=contents, ds_version=guest.datastore.version)
        assert guest.status() == "healthy"

    @pytest.mark.parametrize("claimed", ["list_users", "list_databases", "enable_root", "create_database"])
    def test_a_server_that_is_down_is_said_to_be_down(self, guest: Guest, claimed: str) -> None:
        guest.do("stop_db")
        assert guest.refusal(claimed, LATE.get(claimed, {})).kind == "DatastoreDown"


@claims("prepare", "restart")
class TestDeaths:
    """Nobody asked for it."""

    @given("write", "read")
    def test_a_server_that_dies_is_started_again(self, guest: Guest) -> None:
        write(guest)
        heard = guest.heard
        pid = guest.kill_server()
        guest.wait_for_status("crashed", after=heard)
        eventually(lambda: guest.server_pid not in (pid, None) and guest.status() == "healthy", timeout=60)
        check_written(guest)

    @given("write", "read")
    def test_a_server_outlives_its_agent(self, guest: Guest) -> None:
        write(guest)
        pid = guest.server_pid
        guest.kill_agent()
        assert guest.status() == "healthy"
        assert guest.server_pid == pid
        assert guest.datastore.read(guest.account, "lasting") == "data"

    @given("write", "read")
    def test_a_power_cut_takes_both_and_both_come_again(self, guest: Guest) -> None:
        write(guest)
        guest.agent.kill()
        pid = guest.kill_server()
        guest.agent.boot(guest.wire)
        eventually(lambda: guest.server_pid not in (pid, None) and guest.status() == "healthy", timeout=60)
        check_written(guest)
