"""The data volume as a real block device, as the control plane attaches, grows and moves it."""

import dataclasses
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestagent.contract.databases import Database
from guestagent.contract.errors import SystemFailure
from guestagent.contract.states import ServiceStatus
from tests.functional.mariadb.machine import CONTEXT, FLAVOUR, Machine, machine, prepare
from tests.functional.system.conftest import LoopDevice
from tests.support.kernel import may_grow_ext4_online

MIB = 1 << 20
SMALL = FLAVOUR.replace("innodb_log_file_size=50M", "innodb_log_file_size=8M")


@dataclasses.dataclass
class Volume:
    """A volume that grows."""

    device: LoopDevice
    size: int = 256

    @property
    def path(self) -> str:
        return self.device.path

    def grow(self) -> None:
        self.size += 64
        self.device.resize(self.size)


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Volume]:
    """An empty volume."""
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
        pytest.skip("needs root and loop devices")
    device = LoopDevice(tmp_path_factory.mktemp("volume") / "disk", Volume.size)
    yield Volume(device)
    device.detach()


@pytest.fixture(scope="module")
def guest(volume: Volume) -> Iterator[Machine]:
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


def test_an_empty_volume_is_formatted_and_holds_the_data(guest: Machine, volume: Volume) -> None:
    mounted = subprocess.run(["findmnt", "-n", "-o", "SOURCE", str(guest.volume)], capture_output=True, check=True)
    assert mounted.stdout.decode().strip() == volume.path
    assert (guest.volume / "data" / "ibdata1").is_file()
    assert 0.8 * volume.size < size(guest) < volume.size
    assert holds_its_data(guest)


def test_a_larger_volume_is_used_while_the_server_runs(guest: Machine, volume: Volume) -> None:
    pid = guest.processes.pid(guest.manager().service())
    before = size(guest)
    volume.grow()
    if may_grow_ext4_online():
        guest.manager().resize_fs(CONTEXT, volume.path, str(guest.volume), online=True)
        assert size(guest) > before
    else:
        with pytest.raises(SystemFailure, match="Permission denied"):
            guest.manager().resize_fs(CONTEXT, volume.path, str(guest.volume), online=True)
        assert size(guest) == before
    assert guest.processes.pid(guest.manager().service()) == pid
    assert holds_its_data(guest)


def test_a_volume_grows_while_it_is_detached(guest: Machine, volume: Volume) -> None:
    manager = guest.manager()
    with pytest.raises(SystemFailure):
        manager.unmount_volume(CONTEXT, volume.path, str(guest.volume))
    manager.stop_db(CONTEXT)
    before = size(guest)
    manager.unmount_volume(CONTEXT, volume.path, str(guest.volume))
    volume.grow()
    manager.resize_fs(CONTEXT, volume.path, str(guest.volume))
    manager.mount_volume(CONTEXT, volume.path, str(guest.volume))
    manager.restart(CONTEXT)
    assert size(guest) > before
    assert holds_its_data(guest)


def test_after_a_reboot_the_volume_is_mounted_before_the_server_starts(guest: Machine) -> None:
    manager = guest.manager()
    manager.stop_server()
    manager.unmount_volume(CONTEXT)
    assert list(guest.volume.iterdir()) == []
    guest.manager().ensure_running()
    assert holds_its_data(guest)


def test_a_rebuilt_machine_takes_the_volume_as_it_is(guest: Machine, volume: Volume) -> None:
    manager = guest.manager()
    manager.stop_db(CONTEXT)
    manager.unmount_volume(CONTEXT, volume.path, str(guest.volume))
    for path in (guest.state_dir, Path(guest.conf.mariadb.config_dir)):
        shutil.rmtree(path)
    guest.manager().rebuild(CONTEXT, "11.4", SMALL, {})
    assert holds_its_data(guest)
