"""A kept volume under a new root disk, and data under a newer or an older server."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from guestagent_redis.manager import RedisManager
from guestagent_redis.server_program import ServerProgram

from guestagent.contract.errors import DatastoreError, InvalidValue, NotFound
from guestagent.contract.states import Phase, ServiceStatus
from tests.functional.redis.machine import FLAVOUR, Machine, machine, prepare
from tests.support.machine import CONTEXT, PASSWORD, user


@pytest.fixture
def guest(datastore: str) -> Iterator[Machine]:
    """A machine with an instance that holds something."""
    with machine(datastore=datastore) as made:
        prepare(made.manager(), users=[user("keeper")], overrides={"appendonly": True})
        made.ask("keeper", PASSWORD, "SET", "kept", "1")
        made.reports.clear()
        yield made


def holds(guest: Machine) -> bool:
    return bool(guest.ask("keeper", PASSWORD, "GET", "kept") == "1")


def new_root_disk(guest: Machine) -> RedisManager:
    """What is not on the volume is gone."""
    guest.manager().stop_db(CONTEXT)
    for path in (guest.state_dir, guest.directory / "config", guest.directory / "log"):
        shutil.rmtree(path)
    return guest.manager()


class TestRebuild:
    """``rebuild`` on a machine with a new root disk."""

    def test_the_data_come_up_again_under_a_new_password(self, guest: Machine) -> None:
        before = guest.manager().administrator.password()
        guest.manager().enable_root_with_password(CONTEXT, "kept too")
        manager = new_root_disk(guest)
        for _ in range(2):
            manager.rebuild(CONTEXT, "7.0", FLAVOUR, {"maxclients": 66})
        assert guest.reports[-1] is ServiceStatus.HEALTHY
        assert manager.administrator.password() != before
        # In the log of changes, whatever the flavour has in mind now.
        assert holds(guest)
        assert guest.ask("", "kept too", "CONFIG", "GET", "maxclients") == ["maxclients", "66"]

    def test_a_volume_without_data_is_not_filled(self, guest: Machine) -> None:
        manager = new_root_disk(guest)
        shutil.rmtree(guest.volume / "data")
        with pytest.raises(NotFound, match="data"):
            manager.rebuild(CONTEXT, "7.0", FLAVOUR, {})
        assert guest.reports[-1] is ServiceStatus.FAILED
        assert not (guest.volume / "data").exists()

    def test_data_that_the_server_cannot_read_are_not_touched(self, guest: Machine) -> None:
        manager = new_root_disk(guest)
        shutil.rmtree(guest.volume / "data" / "appendonlydir")
        dump = guest.volume / "data" / "dump.rdb"
        newer = b"REDIS9999" + dump.read_bytes()[9:] if dump.exists() else b"REDIS9999\xff" + bytes(8)
        dump.write_bytes(newer)
        dump.chmod(0o644)
        with pytest.raises(DatastoreError, match="RDB"):
            manager.rebuild(CONTEXT, "7.0", FLAVOUR, {})
        assert manager.guest.record.current.phase is Phase.FAILED
        assert dump.read_bytes() == newer


class TestUpgrade:
    """``pre_upgrade``, ``upgrade`` and ``post_upgrade``."""

    def test_it_is_a_restart_on_the_images_server(self, guest: Machine) -> None:
        manager = guest.manager()
        info = manager.pre_upgrade(CONTEXT)
        assert info == {"server_version": ".".join(map(str, manager.program.version()))}
        pid = guest.processes.pid(manager.service())
        manager.upgrade(CONTEXT, {**info, "datastore_version": "7.9"})
        assert guest.processes.pid(manager.service()) not in (pid, None)
        assert guest.reports == [ServiceStatus.RESTARTING, ServiceStatus.HEALTHY]
        assert manager.guest.record.current.datastore_version == "7.9"
        assert holds(guest)
        manager.post_upgrade(CONTEXT, info)
        assert manager.service_status() is ServiceStatus.HEALTHY

    def test_an_older_server_than_the_one_that_runs_is_refused(
        self, guest: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        manager = guest.manager()
        pid = guest.processes.pid(manager.service())
        monkeypatch.setattr(ServerProgram, "version", lambda program: (6, 2, 0))
        with pytest.raises(InvalidValue, match=r"6\.2\.0"):
            manager.upgrade(CONTEXT, {})
        assert guest.processes.pid(manager.service()) == pid
        assert guest.reports == []


def test_the_volume_is_measured(guest: Machine) -> None:
    stats = guest.manager().get_filesystem_stats(CONTEXT)
    assert stats.total_blocks > 0
    assert stats.mgr_extra_info == {"data_directory": str(Path(guest.volume) / "data")}
