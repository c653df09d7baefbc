"""Volumes on real block devices."""

import os
import subprocess
import threading
from pathlib import Path

import pytest

from guestagent.conformance.disk import Disk, MakeDisk
from guestagent.contract.errors import InvalidValue, NotFound, SystemFailure
from guestagent.system import volume
from guestagent.system.volume import BlockDevice
from tests.support.kernel import may_grow_ext4_online

FILESYSTEMS = ["ext4", "xfs"]
SMALLEST = {"ext4": 64, "xfs": 320}
"""MiB."""


def device_of(disk: Disk) -> BlockDevice:
    return BlockDevice(disk.path, wait=0)


def total(path: Path) -> int:
    space = volume.space(path)
    return space.total_blocks * space.block_size >> 20


@pytest.mark.parametrize("filesystem", FILESYSTEMS)
def test_a_volume_lives_its_life(make_disk: MakeDisk, tmp_path: Path, filesystem: str) -> None:
    disk = make_disk(SMALLEST[filesystem])
    device = device_of(disk)
    point = tmp_path / "deep" / "data"

    device.format_if_empty(filesystem)
    device.mount(point)
    assert disk.mount_points == [point]
    assert point.stat().st_mode & 0o777 == 0o755
    (point / "table").write_text("rows")
    before = total(point)

    device.unmount(point)
    assert not (point / "table").exists()
    disk.wait_until_free()
    disk.resize(SMALLEST[filesystem] + 64)
    device.grow(point, online=False)
    assert disk.mount_points == []

    device.mount(point)
    assert total(point) >= before + 50
    assert (point / "table").read_text() == "rows"


@pytest.mark.parametrize("online", [True, False])
@pytest.mark.parametrize("filesystem", FILESYSTEMS)
def test_a_mounted_volume_grows_in_place(make_disk: MakeDisk, tmp_path: Path, filesystem: str, online: bool) -> None:
    disk = make_disk(SMALLEST[filesystem])
    device = device_of(disk)
    device.format_if_empty(filesystem)
    device.mount(tmp_path / "data")
    before = total(tmp_path / "data")
    with (tmp_path / "data" / "table").open("w"):
        disk.resize(SMALLEST[filesystem] + 64)
        if filesystem == "ext4" and not may_grow_ext4_online():
            with pytest.raises(SystemFailure, match="Permission denied"):
                device.grow(tmp_path / "scratch", online)
        else:
            device.grow(tmp_path / "scratch", online)
            assert total(tmp_path / "data") >= before + 50
        assert disk.mount_points == [tmp_path / "data"]


def test_everything_may_be_repeated(make_disk: MakeDisk, tmp_path: Path) -> None:
    disk = make_disk()
    device = device_of(disk)
    device.format_if_empty()
    device.mount(tmp_path / "data")
    (tmp_path / "data" / "table").write_text("rows")
    device.format_if_empty()
    device.mount(tmp_path / "data")
    assert disk.mount_points == [tmp_path / "data"]
    device.grow(tmp_path / "scratch", online=True)
    device.grow(tmp_path / "scratch", online=True)
    device.unmount(tmp_path / "data")
    device.unmount(tmp_path / "data")
    device.grow(tmp_path / "scratch", online=False)
    device.format_if_empty()
    device.mount(tmp_path / "data")
    assert (tmp_path / "data" / "table").read_text() == "rows"


@pytest.mark.parametrize("holder", [["mkfs.ext4", "-q"], ["mkfs.xfs", "-q"], ["mkswap"]], ids=lambda argv: argv[0])
def test_a_device_that_holds_something_is_not_formatted(make_disk: MakeDisk, holder: list[str]) -> None:
    disk = make_disk(320)
    subprocess.run([*holder, disk.path], check=True, capture_output=True, timeout=60)
    before = content(disk)
    device_of(disk).format_if_empty()
    assert content(disk) == before


PARTITION_TABLE = b"\0" * 446 + bytes.fromhex("00200000 83 000000 00080000 00080000") + b"\0" * 48 + b"\x55\xaa"
ENCRYPTED = b"LUKS\xba\xbe\x00\x01" + b"\0" * 160 + b"e3b0c442-98fc-1c14-9afb-f4c8996fb924"


@pytest.mark.parametrize("start", [PARTITION_TABLE, ENCRYPTED], ids=["partitioned", "encrypted"])
def test_a_device_whose_first_bytes_mean_something_is_not_formatted(make_disk: MakeDisk, start: bytes) -> None:
    disk = make_disk()
    with Path(disk.path).open("r+b") as stream:
        stream.write(start)
    before = content(disk)
    device_of(disk).format_if_empty()
    assert content(disk) == before


def content(disk: Disk) -> bytes:
    with Path(disk.path).open("rb") as stream:
        return stream.read(8 << 20)


def test_a_device_without_a_file_system_is_not_mounted(make_disk: MakeDisk, tmp_path: Path) -> None:
    disk = make_disk()
    with pytest.raises(SystemFailure, match="mount failed"):
        device_of(disk).mount(tmp_path / "data")
    assert disk.mount_points == []


def test_volumes_are_mounted_without_devices_and_set_uid_programs(make_disk: MakeDisk, tmp_path: Path) -> None:
    device = device_of(make_disk())
    device.format_if_empty()
    device.mount(tmp_path / "data")
    flags = os.statvfs(tmp_path / "data").f_flag
    assert flags & os.ST_NOSUID
    assert flags & os.ST_NODEV
    assert flags & os.ST_NOATIME


def test_the_options_of_a_mount_can_be_chosen(make_disk: MakeDisk, tmp_path: Path) -> None:
    device = device_of(make_disk())
    device.format_if_empty()
    device.mount(tmp_path / "data", "ro")
    assert os.statvfs(tmp_path / "data").f_flag & os.ST_RDONLY


def test_a_mount_point_that_is_taken_is_refused(make_disk: MakeDisk, tmp_path: Path) -> None:
    first, second = make_disk(), make_disk()
    for disk in (first, second):
        device_of(disk).format_if_empty()
    device_of(first).mount(tmp_path / "data")
    with pytest.raises(InvalidValue, match=f"{first.path} is mounted there"):
        device_of(second).mount(tmp_path / "data")
    device_of(second).unmount(tmp_path / "data")
    assert first.mount_points == [tmp_path / "data"]


def test_a_device_that_is_mounted_elsewhere_is_refused(make_disk: MakeDisk, tmp_path: Path) -> None:
    disk = make_disk()
    device_of(disk).format_if_empty()
    device_of(disk).mount(tmp_path / "here")
    with pytest.raises(InvalidValue, match=f"mounted at {tmp_path}/here"):
        device_of(disk).mount(tmp_path / "there")


def test_a_mount_point_with_blanks_is_recognised(make_disk: MakeDisk, tmp_path: Path) -> None:
    disk = make_disk()
    point = tmp_path / "my data\\base"
    device_of(disk).format_if_empty()
    device_of(disk).mount(point)
    device_of(disk).mount(point)
    assert disk.mount_points == [point]
    device_of(disk).unmount(point)
    assert disk.mount_points == []


def test_a_mount_point_behind_a_link_is_recognised(make_disk: MakeDisk, tmp_path: Path) -> None:
    disk = make_disk()
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    device_of(disk).format_if_empty()
    device_of(disk).mount(tmp_path / "link")
    device_of(disk).mount(tmp_path / "link")
    assert disk.mount_points == [tmp_path / "real"]


def test_a_device_may_be_named_by_a_link(make_disk: MakeDisk, tmp_path: Path) -> None:
    disk = make_disk()
    (tmp_path / "by-id").symlink_to(disk.path)
    device = BlockDevice(str(tmp_path / "by-id"), wait=0)
    device.format_if_empty()
    device.mount(tmp_path / "data")
    device.grow(tmp_path / "scratch", online=True)
    device.unmount(tmp_path / "data")
    assert disk.mount_points == []


def test_a_mount_point_that_is_a_file_is_refused(make_disk: MakeDisk, tmp_path: Path) -> None:
    device = device_of(make_disk())
    device.format_if_empty()
    (tmp_path / "data").touch()
    with pytest.raises(InvalidValue, match="no directory"):
        device.mount(tmp_path / "data")


def test_a_volume_in_use_is_not_unmounted(make_disk: MakeDisk, tmp_path: Path) -> None:
    disk = make_disk()
    device = device_of(disk)
    device.format_if_empty()
    device.mount(tmp_path / "data")
    with (tmp_path / "data" / "table").open("w"), pytest.raises(SystemFailure, match="busy"):
        device.unmount(tmp_path / "data")
    assert disk.mount_points == [tmp_path / "data"]


def test_online_growth_needs_a_mount(make_disk: MakeDisk, tmp_path: Path) -> None:
    device = device_of(make_disk())
    device.format_if_empty()
    with pytest.raises(InvalidValue, match="not mounted"):
        device.grow(tmp_path / "scratch", online=True)


def test_a_damaged_file_system_is_reported_and_not_grown(make_disk: MakeDisk, tmp_path: Path) -> None:
    disk = make_disk()
    device = device_of(disk)
    device.format_if_empty()
    device.mount(tmp_path / "data")
    for number in range(50):
        (tmp_path / "data" / str(number)).write_text("row")
    device.unmount(tmp_path / "data")
    subprocess.run(["debugfs", "-w", "-R", "clri <2>", disk.path], check=True, capture_output=True, timeout=60)
    disk.resize(128)
    with pytest.raises(SystemFailure, match="e2fsck failed"):
        device.grow(tmp_path / "scratch", online=False)


def test_a_device_without_a_file_system_cannot_grow(make_disk: MakeDisk, tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="no file system"):
        device_of(make_disk()).grow(tmp_path / "scratch", online=False)


def test_a_device_that_appears_late_is_waited_for(make_disk: MakeDisk, tmp_path: Path) -> None:
    disk = make_disk()
    late = tmp_path / "late"
    device = BlockDevice(str(late), wait=30)
    timer = threading.Timer(0.4, late.symlink_to, [disk.path])
    timer.start()
    try:
        device.format_if_empty()
    finally:
        timer.join()
    assert "ext4" in subprocess.run(["blkid", "-p", disk.path], capture_output=True, text=True, check=True).stdout


def test_a_volume_whose_node_is_gone_can_be_unmounted(make_disk: MakeDisk, tmp_path: Path) -> None:
    disk = make_disk()
    number = Path(disk.path).stat().st_rdev
    node = tmp_path / "node"
    os.mknod(node, 0o600 | 0o060000, number)
    device = BlockDevice(str(node), wait=0)
    device.format_if_empty()
    device.mount(tmp_path / "data")
    node.unlink()
    with pytest.raises(NotFound):
        device.grow(tmp_path / "scratch", online=True)
    device.unmount(tmp_path / "data")
    assert disk.mount_points == []
