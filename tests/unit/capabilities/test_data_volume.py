"""The data volume, as far as it can be had without a block device; the rest is with the functional tests."""

import os
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg

from guestagent.capabilities.volume import DataVolume
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import InvalidValue, NotFound
from guestagent.guest import Guest
from tests.unit.capabilities.conftest import MakeGuest

CONTEXT = RequestContext()


class Stored(DataVolume):
    """A database whose data live in a directory."""

    def __init__(self, guest: Guest, directory: Path, device: str | None = None) -> None:
        super().__init__(guest)
        self.directory = directory
        self.device = device

    @property
    def default_mount_point(self) -> str:
        return str(self.directory)

    @property
    def default_device_path(self) -> str | None:
        return self.device

    def volume_details(self) -> dict[str, Any]:
        return {"tablespaces": 3}


@pytest.fixture
def manager(make_guest: MakeGuest, tmp_path: Path, conf: cfg.ConfigOpts) -> Stored:
    return Stored(make_guest(), tmp_path / "data")


def test_without_a_volume_attaching_makes_the_directory(manager: Stored) -> None:
    for _ in range(2):
        manager.attach_volume(format_empty=True)
        assert manager.directory.is_dir()


def test_statistics_are_those_of_the_file_system(manager: Stored) -> None:
    manager.attach_volume(format_empty=True)
    stats = manager.get_filesystem_stats(CONTEXT, None)
    found = os.statvfs(manager.directory)
    assert stats.block_size == found.f_frsize
    assert stats.total_blocks == found.f_blocks
    size = found.f_blocks * found.f_frsize
    assert stats.total == round(size / 2**30, 2)
    assert stats.used == pytest.approx((size - stats.free) / 2**30, abs=0.02)
    assert stats.free_blocks >= stats.avail_blocks
    assert stats.free == stats.free_blocks * stats.block_size
    assert stats.mgr_extra_info == {"tablespaces": 3}


def test_statistics_of_a_directory_that_is_not_there(manager: Stored) -> None:
    with pytest.raises(NotFound, match="The mount point"):
        manager.get_filesystem_stats(CONTEXT, None)


def test_what_prepare_recorded_counts_more_than_the_defaults(manager: Stored, tmp_path: Path) -> None:
    assert (manager.mount_point, manager.device_path) == (tmp_path / "data", None)
    manager.guest.record.change(mount_point="/srv/data", device_path="/dev/vdz")
    assert (manager.mount_point, manager.device_path) == (Path("/srv/data"), "/dev/vdz")


@pytest.mark.parametrize("call", ["mount_volume", "unmount_volume", "resize_fs"])
def test_an_instance_without_a_volume_has_none_to_work_on(manager: Stored, call: str) -> None:
    with pytest.raises(InvalidValue, match="no device was named"):
        getattr(manager, call)(CONTEXT)


@pytest.mark.parametrize("call", ["mount_volume", "unmount_volume", "resize_fs"])
@pytest.mark.parametrize("device", ["vdb", "../dev/vdb", "-o loop", "/dev/v\0db"])
def test_a_device_is_named_by_an_absolute_path(manager: Stored, call: str, device: str) -> None:
    with pytest.raises(InvalidValue, match="The device"):
        getattr(manager, call)(CONTEXT, device, "/srv/data")
