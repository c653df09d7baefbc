"""Volumes on real block devices."""

import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guestagent.contract.errors import InvalidValue, NotFound, SystemFailure
from guestagent.system import volume
from guestagent.system.volume import BlockDevice
from tests.support.kernel import may_grow_ext4_online

Make = Callable[..., Any]

FILESYSTEMS = ["ext4", "xfs"]
SMALLEST = {"ext4": 64, "xfs": 320}
"""MiB."""


def device_of(loop: Any) -> BlockDevice:
    return BlockDevice(loop.path, wait=0)


def total(path: Path) -> int:
    space = volume.space(path)
    return space.total_blocks * space.block_size >> 20


def mounted(loop: Any, point: Path) -> bool:
    number = Path(loop.path).stat().st_rdev
    return [entry.point for entry in volume.mounts() if entry.device == number] == [point]


@pytest.mark.parametrize("filesystem", FILESYSTEMS)
def test_a_volume_lives_its_life(loop_device: Make, tmp_path: Path, filesystem: str) -> None:
    loop = loop_device(SMALLEST[filesystem])
    device = device_of(loop)
    point = tmp_path / "deep" / "data"

    device.format_if_empty(filesystem)
    device.mount(point)
    assert mounted(loop, point)
    assert point.stat().st_mode & 0o777 == 0o755
    (point / "table").write_text("rows")
    before = total(point)

    device.unmount(point)
    assert not (point / "table").exists()
    loop.resize(SMALLEST[filesystem] + 64)
    device.grow(point, online=False)
    assert not mounted(loop, point)

    device.mount(point)
    assert total(point) >= before + 50
    assert (point / "table").read_text() == "rows"


@pytest.mark.parametrize("online", [True, False])
@pytest.mark.parametrize("filesystem", FILESYSTEMS)
def test_a_mounted_volume_grows_in_place(loop_device: Make, tmp_path: Path, filesystem: str, online: bool) -> None:
    loop = loop_device(SMALLEST[filesystem])
    device = device_of(loop)
    device.format_if_empty(filesystem)
    device.mount(tmp_path / "data")
    before = total(tmp_path / "data")
    with (tmp_path / "data" / "table").open("w"):
        loop.resize(SMALLEST[filesystem] + 64)
        if filesystem == "ext4" and not may_grow_ext4_online():
            with pytest.raises(SystemFailure, match="Permission denied"):
                device.grow(tmp_path / "scratch", online)
        else:
            device.grow(tmp_path / "scratch", online)
            assert total(tmp_path / "data") >= before + 50
        assert mounted(loop, tmp_path / "data")


def test_everything_may_be_repeated(loop_device: Make, tmp_path: Path) -> None:
    loop = loop_device()
    device = device_of(loop)
    device.format_if_empty()
    device.mount(tmp_path / "data")
    (tmp_path / "data" / "table").write_text("rows")
    device.format_if_empty()
    device.mount(tmp_path / "data")
    assert mounted(loop, tmp_path / "data")
    device.grow(tmp_path / "scratch", online=True)
    device.grow(tmp_path / "scratch", online=True)
    device.unmount(tmp_path / "data")
    device.unmount(tmp_path / "data")
    device.grow(tmp_path / "scratch", online=False)
    device.format_if_empty()
    device.mount(tmp_path / "data")
    assert (tmp_path / "data" / "table").read_text() == "rows"


@pytest.mark.parametrize("holder", [["mkfs.ext4", "-q"], ["mkfs.xfs", "-q"], ["mkswap"]], ids=lambda argv: argv[0])
def test_a_device_that_holds_something_is_not_formatted(loop_device: Make, holder: list[str]) -> None:
    loop = loop_device(320)
    subprocess.run([*holder, loop.path], check=True, capture_output=True, timeout=60)
    before = content(loop)
    device_of(loop).format_if_empty()
    assert content(loop) == before


PARTITION_TABLE = b"\0" * 446 + bytes.fromhex("00200000 83 000000 00080000 00080000") + b"\0" * 48 + b"\x55\xaa"
ENCRYPTED = b"LUKS\xba\xbe\x00\x01" + b"\0" * 160 + b"e3b0c442-98fc-1c14-9afb-f4c8996fb924"


@pytest.mark.parametrize("start", [PARTITION_TABLE, ENCRYPTED], ids=["partitioned", "encrypted"])
def test_a_device_whose_first_bytes_mean_something_is_not_formatted(loop_device: Make, start: bytes) -> None:
    loop = loop_device()
    with Path(loop.path).open("r+b") as stream:
        stream.write(start)
    before = content(loop)
    device_of(loop).format_if_empty()
    assert content(loop) == before


def content(loop: Any) -> bytes:
    with Path(loop.path).open("rb") as stream:
        return stream.read(8 << 20)


def test_a_device_without_a_file_system_is_not_mounted(loop_device: Make, tmp_path: Path) -> None:
    loop = loop_device()
    with pytest.raises(SystemFailure, match="mount failed"):
        device_of(loop).mount(tmp_path / "data")
    assert not mounted(loop, tmp_path / "data")


def test_volumes_are_mounted_without_devices_and_set_uid_programs(loop_device: Make, tmp_path: Path) -> None:
    device = device_of(loop_device())
    device.format_if_empty()
    device.mount(tmp_path / "data")
    flags = os.statvfs(tmp_path / "data").f_flag
    assert flags & os.ST_NOSUID
    assert flags & os.ST_NODEV
    assert flags & os.ST_NOATIME


def test_the_options_of_a_mount_can_be_chosen(loop_device: Make, tmp_path: Path) -> None:
    device = device_of(loop_device())
    device.format_if_empty()
    device.mount(tmp_path / "data", "ro")
    assert os.statvfs(tmp_path / "data").f_flag & os.ST_RDONLY


def test_a_mount_point_that_is_taken_is_refused(loop_device: Make, tmp_path: Path) -> None:
    first, second = loop_device(), loop_device()
    for loop in (first, second):
        device_of(loop).format_if_empty()
    device_of(first).mount(tmp_path / "data")
    with pytest.raises(InvalidValue, match=f"{first.path} is mounted there"):
        device_of(second).mount(tmp_path / "data")
    device_of(second).unmount(tmp_path / "data")
    assert mounted(first, tmp_path / "data")


def test_a_device_that_is_mounted_elsewhere_is_refused(loop_device: Make, tmp_path: Path) -> None:
    loop = loop_device()
    device_of(loop).format_if_empty()
    device_of(loop).mount(tmp_path / "here")
    with pytest.raises(InvalidValue, match=f"mounted at {tmp_path}/here"):
        device_of(loop).mount(tmp_path / "there")


def test_a_mount_point_with_blanks_is_recognised(loop_device: Make, tmp_path: Path) -> None:
    loop = loop_device()
    point = tmp_path / "my data\\base"
    device_of(loop).format_if_empty()
    device_of(loop).mount(point)
    device_of(loop).mount(point)
    assert mounted(loop, point)
    device_of(loop).unmount(point)
    assert not mounted(loop, point)


def test_a_mount_point_behind_a_link_is_recognised(loop_device: Make, tmp_path: Path) -> None:
    loop = loop_device()
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    device_of(loop).format_if_empty()
    device_of(loop).mount(tmp_path / "link")
    device_of(loop).mount(tmp_path / "link")
    assert mounted(loop, tmp_path / "real")


def test_a_device_may_be_named_by_a_link(loop_device: Make, tmp_path: Path) -> None:
    loop = loop_device()
    (tmp_path / "by-id").symlink_to(loop.path)
    device = BlockDevice(str(tmp_path / "by-id"), wait=0)
    device.format_if_empty()
    device.mount(tmp_path / "data")
    device.grow(tmp_path / "scratch", online=True)
    device.unmount(tmp_path / "data")
    assert not mounted(loop, tmp_path / "data")


def test_a_mount_point_that_is_a_file_is_refused(loop_device: Make, tmp_path: Path) -> None:
    device = device_of(loop_device())
    device.format_if_empty()
    (tmp_path / "data").touch()
    with pytest.raises(InvalidValue, match="no directory"):
        device.mount(tmp_path / "data")


def test_a_volume_in_use_is_not_unmounted(loop_device: Make, tmp_path: Path) -> None:
    loop = loop_device()
    device = device_of(loop)
    device.format_if_empty()
    device.mount(tmp_path / "data")
    with (tmp_path / "data" / "table").open("w"), pytest.raises(SystemFailure, match="busy"):
        device.unmount(tmp_path / "data")
    assert mounted(loop, tmp_path / "data")


def test_online_growth_needs_a_mount(loop_device: Make, tmp_path: Path) -> None:
    device = device_of(loop_device())
    device.format_if_empty()
    with pytest.raises(InvalidValue, match="not mounted"):
        device.grow(tmp_path / "scratch", online=True)


def test_a_damaged_file_system_is_reported_and_not_grown(loop_device: Make, tmp_path: Path) -> None:
    loop = loop_device()
    device = device_of(loop)
    device.format_if_empty()
    device.mount(tmp_path / "data")
    for number in range(50):
        (tmp_path / "data" / str(number)).write_text("row")
    device.unmount(tmp_path / "data")
    subprocess.run(["debugfs", "-w", "-R", "clri <2>", loop.path], check=True, capture_output=True, timeout=60)
    loop.resize(128)
    with pytest.raises(SystemFailure, match="e2fsck failed"):
        device.grow(tmp_path / "scratch", online=False)


def test_a_device_without_a_file_system_cannot_grow(loop_device: Make, tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="no file system"):
        device_of(loop_device()).grow(tmp_path / "scratch", online=False)


def test_a_device_that_appears_late_is_waited_for(loop_device: Make, tmp_path: Path) -> None:
    loop = loop_device()
    late = tmp_path / "late"
    device = BlockDevice(str(late), wait=30)
    timer = threading.Timer(0.4, late.symlink_to, [loop.path])
    timer.start()
    try:
        device.format_if_empty()
    finally:
        timer.join()
    assert "ext4" in subprocess.run(["blkid", "-p", loop.path], capture_output=True, text=True, check=True).stdout


def test_a_volume_whose_node_is_gone_can_be_unmounted(loop_device: Make, tmp_path: Path) -> None:
    loop = loop_device()
    number = Path(loop.path).stat().st_rdev
    node = tmp_path / "node"
    os.mknod(node, 0o600 | 0o060000, number)
    device = BlockDevice(str(node), wait=0)
    device.format_if_empty()
    device.mount(tmp_path / "data")
    node.unlink()
    with pytest.raises(NotFound):
        device.grow(tmp_path / "scratch", online=True)
    device.unmount(tmp_path / "data")
    assert not mounted(loop, tmp_path / "data")
