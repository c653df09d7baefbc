"""The data volume as a real block device: what the kit does not ask of every datastore."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestagent.conformance.disk import Disk, MakeDisk
from guestagent.contract.databases import Database
from guestagent.contract.errors import SystemFailure
from guestagent.contract.states import ServiceStatus
from tests.functional.mariadb.machine import FLAVOUR, Machine, machine, prepare
from tests.support.kernel import may_grow_ext4_online
from tests.support.machine import CONTEXT

SMALL = FLAVOUR.replace("innodb_log_file_size=50M", "innodb_log_file_size=8M")


@pytest.fixture(scope="module")
def volume(make_disk: MakeDisk) -> Disk:
    """An empty volume."""
    return make_disk(256)


@pytest.fixture(scope="module")
def guest(volume: Disk) -> Iterator[Machine]:
    """A machine with an instance on the volume."""
    with machine(device_path=volume.path) as made:
        try:
            made.volume.rmdir()
            prepare(
                made.manager(),
                config_contents=SMALL,
                device_path=volume.path,
                mount_point=str(made.volume),
                databases=[Database("kept")],
            )
            yield made
        finally:
            made.close()
            made.manager().unmount_volume(CONTEXT)


@pytest.fixture(autouse=True)
def running(guest: Machine) -> None:
    """Every test begins with a server that runs."""
    guest.manager().restart(CONTEXT)


def size(guest: Machine) -> float:
    return guest.manager().get_filesystem_stats(CONTEXT).total * 1024


def holds_its_data(guest: Machine) -> bool:
    manager = guest.manager()
    found = [database.name for database in manager.list_databases(CONTEXT)[0]]
    return manager.service_status() is ServiceStatus.HEALTHY and found == ["kept"]


def test_a_larger_volume_is_used_while_the_server_runs(guest: Machine, volume: Disk) -> None:
    pid = guest.processes.pid(guest.manager().service())
    before = size(guest)
    volume.resize(volume.size + 64)
    if may_grow_ext4_online():
        guest.manager().resize_fs(CONTEXT, volume.path, str(guest.volume), online=True)
        assert size(guest) > before
    else:
        with pytest.raises(SystemFailure, match="Permission denied"):
            guest.manager().resize_fs(CONTEXT, volume.path, str(guest.volume), online=True)
        assert size(guest) == before
    assert guest.processes.pid(guest.manager().service()) == pid
    assert holds_its_data(guest)


def test_a_rebuilt_machine_takes_the_volume_as_it_is(guest: Machine, volume: Disk) -> None:
    manager = guest.manager()
    manager.stop_db(CONTEXT)
    manager.unmount_volume(CONTEXT, volume.path, str(guest.volume))
    for path in (guest.state_dir, Path(guest.conf.mariadb.config_dir)):
        shutil.rmtree(path)
    guest.manager().rebuild(CONTEXT, "11.4", SMALL, {})
    assert holds_its_data(guest)
