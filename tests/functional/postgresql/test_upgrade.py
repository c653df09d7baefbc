"""A kept volume under a new root disk, and data under a newer or an older server."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from guestagent_postgresql.manager import PostgreSQLManager

from guestagent.contract.databases import Database
from guestagent.contract.errors import DatastoreError, GuestAgentError, InvalidValue, NotFound
from guestagent.contract.states import Phase, ServiceStatus
from tests.functional.postgresql.machine import FLAVOUR, Machine, machine, prepare
from tests.support.machine import CONTEXT, PASSWORD, user

HERE = Path("/usr/lib/postgresql/15")
NEWER = 16


@pytest.fixture
def guest() -> Iterator[Machine]:
    """A machine with an instance that holds something."""
    with machine() as made:
        prepare(made.manager(), databases=[Database("kept")], users=[user("keeper", databases=("kept",))])
        made.reports.clear()
        yield made


def new_root_disk(guest: Machine) -> PostgreSQLManager:
    """What is not on the volume is gone."""
    guest.manager().stop_db(CONTEXT)
    for path in (guest.state_dir, Path(guest.conf.postgresql.config_dir), Path(guest.conf.postgresql.log_dir)):
        shutil.rmtree(path)
    return guest.manager()


def image_with(guest: Machine, *majors: int) -> None:
    """Let the machine's image hold servers of these numbers, all of which are the one that is installed."""
    versions = guest.directory / "versions"
    shutil.rmtree(versions, ignore_errors=True)
    versions.mkdir()
    for major in majors:
        (versions / str(major)).symlink_to(HERE)
    guest.conf.set_override("versions_dir", str(versions), "postgresql")


class TestRebuild:
    """``rebuild`` on a machine with a new root disk."""

    def test_the_data_come_up_again_and_it_can_be_repeated(self, guest: Machine) -> None:
        guest.manager().enable_root_with_password(CONTEXT, "kept too")
        manager = new_root_disk(guest)
        for _ in range(2):
            manager.rebuild(CONTEXT, "15", FLAVOUR, {"work_mem": "6MB"})
        assert guest.reports[-1] is ServiceStatus.HEALTHY
        assert guest.ask("keeper", PASSWORD, "SHOW work_mem", "kept") == [["6MB"]]
        assert guest.ask("postgres", "kept too", "SELECT 1") == [[1]]
        assert manager.list_databases(CONTEXT)[0] == [Database("kept", "UTF8", "C.UTF-8")]

    def test_a_volume_without_data_is_not_filled(self, guest: Machine) -> None:
        manager = new_root_disk(guest)
        shutil.rmtree(guest.volume / "data")
        with pytest.raises(NotFound, match="data"):
            manager.rebuild(CONTEXT, "15", FLAVOUR, {})
        assert guest.reports[-1] is ServiceStatus.FAILED
        assert not (guest.volume / "data").exists()

    def test_data_of_a_server_that_the_image_does_not_hold_are_not_touched(self, guest: Machine) -> None:
        manager = new_root_disk(guest)
        image_with(guest, NEWER)
        with pytest.raises(InvalidValue, match=r"PostgreSQL 15 wrote it.*\(16\)"):
            manager.rebuild(CONTEXT, "16", FLAVOUR, {})
        assert manager.guest.record.current.phase is Phase.FAILED


class TestUpgrade:
    """``pre_upgrade``, ``upgrade`` and ``post_upgrade``."""

    @pytest.mark.parametrize("version", ["a name", "15", "15.99", None])
    def test_within_a_major_version_it_is_a_restart(self, guest: Machine, version: str | None) -> None:
        manager = guest.manager()
        info = manager.pre_upgrade(CONTEXT)
        assert info["server_version"].startswith("15.")
        pid = guest.processes.pid(manager.service())
        manager.upgrade(CONTEXT, {**info, "datastore_version": version})
        assert guest.processes.pid(manager.service()) not in (pid, None)
        assert guest.reports[0] is ServiceStatus.RESTARTING
        assert guest.reports[-1] is ServiceStatus.HEALTHY
        manager.post_upgrade(CONTEXT, info)
        assert manager.service_status() is ServiceStatus.HEALTHY

    @pytest.mark.parametrize(
        ("version", "problem"), [("14", "cannot be downgraded"), ("16", "use one that holds 16 beside 15")]
    )
    def test_what_cannot_be_is_refused(self, guest: Machine, version: str, problem: str) -> None:
        manager = guest.manager()
        pid = guest.processes.pid(manager.service())
        with pytest.raises(InvalidValue, match=problem):
            manager.upgrade(CONTEXT, {"datastore_version": version})
        assert guest.processes.pid(manager.service()) == pid
        assert guest.reports == []


class TestMajorUpgrade:
    """pg_upgrade from one data directory to another; the server on both sides is the one that is installed."""

    @pytest.fixture
    def upgrading(self, guest: Machine) -> PostgreSQLManager:
        """A manager of an image that holds the version of the data and a newer one, with data that are worth it."""
        guest.ask("keeper", PASSWORD, "CREATE TABLE t AS SELECT generate_series(1, 1000) a", "kept")
        image_with(guest, 15, NEWER)
        return guest.manager()

    def test_the_data_are_copied_and_the_former_ones_are_gone(
        self, guest: Machine, upgrading: PostgreSQLManager
    ) -> None:
        [[before]] = upgrading.connections.fetch("Reading", "SELECT system_identifier FROM pg_control_system()")
        upgrading.upgrade(CONTEXT, {"datastore_version": "16"})
        assert guest.reports[-1] is ServiceStatus.HEALTHY
        assert guest.ask("keeper", PASSWORD, "SELECT count(*) FROM t", "kept") == [[1000]]
        [[after]] = upgrading.connections.fetch("Reading", "SELECT system_identifier FROM pg_control_system()")
        assert after != before
        assert upgrading.connections.fetch("Reading", "SHOW data_checksums") == [["on"]]
        assert upgrading.list_access(CONTEXT, "keeper") == [Database("kept")]
        assert sorted(path.name for path in guest.volume.iterdir()) == ["data"]
        assert upgrading.guest.record.current.datastore_version == "16"

    def test_one_that_pg_upgrade_refuses_leaves_everything_as_it_was(
        self, guest: Machine, upgrading: PostgreSQLManager
    ) -> None:
        # It cannot know where such a type points to.
        statement = "CREATE TABLE pointing (a regproc)"
        guest.ask("keeper", PASSWORD, statement, "kept")
        with pytest.raises(DatastoreError, match="reg"):
            upgrading.upgrade(CONTEXT, {"datastore_version": "16"})
        assert guest.reports[-1] is ServiceStatus.HEALTHY
        assert guest.ask("keeper", PASSWORD, "SELECT count(*) FROM t", "kept") == [[1000]]
        assert sorted(path.name for path in guest.volume.iterdir()) == ["data"]

    def test_a_new_server_that_does_not_start_leaves_the_old_one(
        self, guest: Machine, upgrading: PostgreSQLManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        exchange = upgrading._exchange_data

        def spoil() -> None:
            exchange()
            (guest.volume / "data" / "global" / "pg_control").write_bytes(b"klingon")

        monkeypatch.setattr(upgrading, "_exchange_data", spoil)
        with pytest.raises(GuestAgentError):
            upgrading.upgrade(CONTEXT, {"datastore_version": "16"})
        assert guest.reports[-1] is ServiceStatus.HEALTHY
        assert guest.ask("keeper", PASSWORD, "SELECT count(*) FROM t", "kept") == [[1000]]
        assert sorted(path.name for path in guest.volume.iterdir()) == ["data"]

    def test_an_agent_that_died_between_the_data_is_followed_by_one_that_finds_them(
        self, guest: Machine, upgrading: PostgreSQLManager
    ) -> None:
        upgrading.stop_server()
        upgrading.data_dir.rename(upgrading.layout.former_data_dir)
        again = guest.manager()
        again.tidy()
        again.ensure_running()
        assert guest.ask("keeper", PASSWORD, "SELECT count(*) FROM t", "kept") == [[1000]]

    def test_a_volume_without_room_is_refused(
        self, upgrading: PostgreSQLManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("guestagent_postgresql.upgrades.SLACK", 1 << 60)
        with pytest.raises(InvalidValue, match="grow the volume"):
            upgrading.upgrade(CONTEXT, {"datastore_version": "16"})
        assert upgrading.service_status() is ServiceStatus.HEALTHY
