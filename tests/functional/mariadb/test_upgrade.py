"""A kept volume under a new root disk, and data under a newer or an older server."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from guestagent_mariadb.manager import MariaDBManager

from guestagent.contract.databases import Database
from guestagent.contract.errors import DatastoreError, InvalidValue, NotFound, SystemFailure
from guestagent.contract.states import Phase, ServiceStatus
from tests.functional.mariadb.machine import FLAVOUR, Machine, machine, prepare
from tests.support.machine import CONTEXT, user

OLDER, NEWER = "10.5.4-MariaDB", "99.1.0-MariaDB"


@pytest.fixture
def guest() -> Iterator[Machine]:
    """A machine with an instance that holds something."""
    with machine() as made:
        prepare(made.manager(), databases=[Database("kept")], users=[user("keeper", databases=("kept",))])
        made.reports.clear()
        yield made


def written_by(guest: Machine) -> Path:
    return next((guest.volume / "data").glob("*_upgrade_info"))


def new_root_disk(guest: Machine) -> MariaDBManager:
    """What is not on the volume is gone."""
    manager = guest.manager()
    manager.stop_db(CONTEXT)
    for path in (guest.state_dir, Path(guest.conf.mariadb.config_dir), Path(guest.conf.mariadb.log_dir)):
        shutil.rmtree(path)
    return guest.manager()


class TestRebuild:
    """``rebuild`` on a machine with a new root disk."""

    def test_the_data_come_up_again_under_a_new_password(self, guest: Machine) -> None:
        before = guest.manager().administrator.password()
        guest.manager().enable_root_with_password(CONTEXT, "kept too")
        manager = new_root_disk(guest)
        manager.rebuild(CONTEXT, "11.4", FLAVOUR, {"max_connections": 66})

        assert guest.reports[-1] is ServiceStatus.HEALTHY
        assert manager.administrator.password() != before
        assert guest.ask("keeper", "Wee/sleekit 1", "SELECT @@max_connections", database="kept") == ((66,),)
        assert guest.ask("root", "kept too", "SELECT 1") == ((1,),)
        assert manager.list_databases(CONTEXT)[0] == [Database("kept", "utf8mb4", "utf8mb4_general_ci")]
        manager.restart(CONTEXT)
        assert manager.service_status() is ServiceStatus.HEALTHY

    def test_a_plugin_that_validates_passwords_does_not_lock_the_agent_out(self, guest: Machine) -> None:
        manager = guest.manager()
        try:
            manager.connections.execute("Installing", "INSTALL SONAME 'simple_password_check'")
        except DatastoreError:
            pytest.skip("this server has no such plugin")
        rebuilt = new_root_disk(guest)
        rebuilt.rebuild(CONTEXT, "11.4", FLAVOUR, {})
        assert rebuilt.connections.fetch("Reading", "SELECT @@strict_password_validation") == [(1,)]
        with pytest.raises(DatastoreError, match="strict-password-validation"):
            rebuilt.create_user(CONTEXT, [user("weak", "weak")])

    def test_it_can_be_repeated(self, guest: Machine) -> None:
        manager = new_root_disk(guest)
        for _ in range(2):
            manager.rebuild(CONTEXT, "11.4", FLAVOUR, {})
        assert manager.list_users(CONTEXT)[0][0].name == "keeper"

    def test_a_volume_without_data_is_not_filled(self, guest: Machine) -> None:
        manager = new_root_disk(guest)
        shutil.rmtree(guest.volume / "data")
        with pytest.raises(NotFound, match="data"):
            manager.rebuild(CONTEXT, "11.4", FLAVOUR, {})
        assert guest.reports[-1] is ServiceStatus.FAILED
        assert not (guest.volume / "data").exists()

    def test_data_of_an_older_server_are_adapted(self, guest: Machine) -> None:
        written_by(guest).write_text(OLDER)
        manager = new_root_disk(guest)
        manager.rebuild(CONTEXT, "11.4", FLAVOUR, {})
        assert written_by(guest).read_text().startswith(".".join(map(str, manager.program.version())))
        assert guest.reports[-1] is ServiceStatus.HEALTHY

    def test_data_of_a_newer_server_are_not_touched(self, guest: Machine) -> None:
        written_by(guest).write_text(NEWER)
        manager = new_root_disk(guest)
        with pytest.raises(InvalidValue, match=r"99\.1"):
            manager.rebuild(CONTEXT, "11.4", FLAVOUR, {})
        assert manager.guest.record.current.phase is Phase.FAILED
        assert written_by(guest).read_text() == NEWER


class TestUpgrade:
    """``pre_upgrade``, ``upgrade`` and ``post_upgrade`` on a machine with a newer server."""

    def test_data_of_an_older_server_are_adapted(self, guest: Machine) -> None:
        manager = guest.manager()
        written_by(guest).write_text(OLDER)
        info = manager.pre_upgrade(CONTEXT)
        assert info == {"server_version": ".".join(map(str, manager.program.version()))}
        manager.upgrade(CONTEXT, {**info, "datastore_version": "11.4"})

        assert not written_by(guest).read_text().startswith(OLDER)
        assert guest.reports[0] is ServiceStatus.RESTARTING
        assert guest.reports[-1] is ServiceStatus.HEALTHY
        assert manager.guest.record.current.datastore_version == "11.4"
        assert guest.ask("keeper", "Wee/sleekit 1", "SELECT 1", database="kept") == ((1,),)
        manager.post_upgrade(CONTEXT, info)
        assert manager.service_status() is ServiceStatus.HEALTHY

    @pytest.mark.parametrize("version", ["a name", "10.11", None])
    def test_nothing_to_adapt_is_only_a_restart(self, guest: Machine, version: str | None) -> None:
        guest.conf.set_override("upgrade_program", "/bin/false", "mariadb")
        manager = guest.manager()
        pid = guest.processes.pid(manager.service())
        manager.upgrade(CONTEXT, {"datastore_version": version})
        assert guest.processes.pid(manager.service()) not in (pid, None)
        assert guest.reports[-1] is ServiceStatus.HEALTHY

    def test_the_program_runs_as_the_server_and_borrows_the_password(self, guest: Machine) -> None:
        """It writes where the server can put links, and keeps a copy of the password while it runs."""
        program, found = guest.directory / "upgrade", guest.volume / "tmp" / "found"
        program.write_text(f'#!/bin/sh\n(id -u; echo "$TMPDIR"; stat -c %u:%a "${{1#*=}}") > {found}\n')
        program.chmod(0o755)
        guest.conf.set_override("upgrade_program", str(program), "mariadb")
        written_by(guest).write_text(OLDER)
        guest.manager().upgrade(CONTEXT, {})
        server = (guest.volume / "data").stat().st_uid
        assert found.read_text().split() == [str(server), str(guest.volume / "tmp"), f"{server}:600"]
        assert not list(guest.directory.rglob("lent*"))

    def test_an_upgrade_that_fails_is_told_and_the_server_runs(self, guest: Machine) -> None:
        guest.conf.set_override("upgrade_program", "/bin/false", "mariadb")
        written_by(guest).write_text(OLDER)
        with pytest.raises(SystemFailure):
            guest.manager().upgrade(CONTEXT, {"datastore_version": "12.0"})
        assert guest.reports[-1] is ServiceStatus.HEALTHY
        assert guest.manager().guest.record.current.datastore_version == "11.4"

    def test_a_downgrade_is_refused(self, guest: Machine) -> None:
        manager = guest.manager()
        pid = guest.processes.pid(manager.service())
        with pytest.raises(InvalidValue, match="downgraded"):
            manager.upgrade(CONTEXT, {"datastore_version": "10.4"})
        assert guest.processes.pid(manager.service()) == pid
        assert guest.reports == []

    def test_an_older_server_than_the_data_is_refused(self, guest: Machine) -> None:
        manager = guest.manager()
        written_by(guest).write_text(NEWER)
        with pytest.raises(InvalidValue, match=r"99\.1"):
            manager.upgrade(CONTEXT, {"datastore_version": "99.1"})
        with pytest.raises(InvalidValue, match=r"99\.1"):
            manager.post_upgrade(CONTEXT, {})
        assert manager.service_status() is ServiceStatus.HEALTHY
