"""From an empty machine to a running server, its starts and stops, and the deaths of both."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from guestagent.conformance.claims import claims, given
from guestagent.conformance.guest import PASSWORD, Guest, MakeGuest
from guestagent.conformance.poll import eventually
from guestagent.conformance.suite import databases, users
from guestagent.system import procfs

BRIEFLY = 10.0
"""Seconds in which it is told that a server does not answer."""

LATE: Mapping[str, Callable[[Guest], Mapping[str, Any]]] = {
    "list_databases": lambda guest: {},
    "create_database": lambda guest: {"databases": [{"_name": "late"}]},
    "list_users": lambda guest: {},
    "create_user": lambda guest: {"users": [{"_name": "late", "_password": PASSWORD, "_databases": []}]},
    "enable_root": lambda guest: {},
    "apply_overrides": lambda guest: {"overrides": guest.datastore.live.overrides if guest.datastore.live else {}},
    "make_read_only": lambda guest: {"read_only": True},
    "ssl_show": lambda guest: {},
    "pre_upgrade": lambda guest: {},
    "pre_create_backup": lambda guest: {},
}
"""Calls for which nobody is there when the server is down, with their arguments."""


def write(guest: Guest) -> None:
    """Have a user write something."""
    guest.datastore.write(guest.account, "lasting", "data")


def check_written(guest: Guest) -> None:
    """It is still there after the server has started anew, where the datastore keeps data."""
    if type(guest.datastore).keeps_data:
        assert guest.datastore.read(guest.account, "lasting") == "data"


@contextlib.contextmanager
def frozen(guest: Guest) -> Iterator[None]:
    """Have the server stand still as long as the block lasts, with all its processes."""
    leader = guest.server
    assert leader is not None, "no server runs"
    members = procfs.family(leader)
    for member in members:
        procfs.send_signal(member, signal.SIGSTOP)
    try:
        yield
    finally:
        for member in members:
            procfs.send_signal(member, signal.SIGCONT)


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
        other = {
            "databases": [{"_name": "another"}] if guest.supports("create_database") else [],
            "users": [users.user("another")] if guest.supports("create_user") else [],
        }
        for contents in ({}, other):
            guest.prepare(**contents)
            assert guest.server_pid == pid
            assert guest.status() == "healthy"
        if guest.supports("list_databases"):
            assert "another" not in databases.names(guest)
        if guest.supports("list_users"):
            assert "another" not in users.names(guest)

    def test_before_prepare_nothing_is_done(self, make_guest: MakeGuest) -> None:
        blank = make_guest()
        blank.agent.boot(blank.wire)
        for number in range(2):
            blank.wait_for_status("building", after=number)
        assert blank.refusal("restart").kind == "NotPrepared"
        assert blank.status() == "building"
        assert set(blank.conductor.statuses(blank.id)) == {"building"}
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


@claims("restart", "stop_db")
class TestDown:
    """A server that is stopped, and calls that would need it."""

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def stopped(cls, guest: Guest) -> Iterator[None]:
        guest.do("stop_db")
        yield
        guest.do("restart")

    @pytest.mark.parametrize("claimed", LATE)
    def test_it_is_said_to_be_down(self, guest: Guest, claimed: str) -> None:
        assert guest.refusal(claimed, LATE[claimed](guest)).kind == "DatastoreDown"

    @claims("get_filesystem_stats")
    def test_its_volume_is_measured_all_the_same(self, guest: Guest) -> None:
        assert guest.do("get_filesystem_stats", fs_path=None)["total_blocks"] > 0


@claims("make_read_only", "restart")
@given("may_write")
class TestReadOnly:
    """Writes of users, refused and taken again."""

    @pytest.fixture(autouse=True)
    def writable(self, guest: Guest) -> Iterator[None]:
        yield
        guest.do("make_read_only", read_only=False)

    def test_it_holds_over_restarts_until_it_is_lifted(self, guest: Guest) -> None:
        assert guest.datastore.may_write(guest.account)
        for _ in range(2):
            guest.do("make_read_only", read_only=True)
        assert not guest.datastore.may_write(guest.account)
        guest.do("restart")
        assert not guest.datastore.may_write(guest.account)
        guest.do("make_read_only", read_only=False)
        assert guest.datastore.may_write(guest.account)
        guest.do("restart")
        assert guest.datastore.may_write(guest.account)

    @claims("create_user", "delete_user", "list_users")
    def test_the_agent_goes_on_managing(self, guest: Guest) -> None:
        guest.do("make_read_only", read_only=True)
        guest.do("create_user", users=[users.user("meanwhile")])
        users.drop(guest, "meanwhile")


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

    def test_a_server_that_does_not_answer_is_blocked_and_asked_briefly(self, guest: Guest) -> None:
        heard = guest.heard
        with frozen(guest):
            guest.wait_for_status("blocked", after=heard)
            asked = time.monotonic()
            assert guest.status() == "blocked"
            assert time.monotonic() - asked < BRIEFLY
        eventually(lambda: guest.status() == "healthy", timeout=60)

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
