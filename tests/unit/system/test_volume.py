"""Volumes, as far as no block device is needed."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from guestagent.contract.errors import Cancelled, InvalidValue, NotFound
from guestagent.system import command, volume, waiting
from guestagent.system.waiting import Interruption
from tests.support.interruptions import cancelled_once, timed_out_after


def test_the_space_of_a_path_is_that_of_its_file_system(tmp_path: Path) -> None:
    space = volume.space(tmp_path)
    assert space.total_blocks * space.block_size > 0
    assert 0 <= space.available_blocks <= space.free_blocks <= space.total_blocks


def test_the_space_of_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        volume.space(tmp_path / "missing")


@pytest.mark.parametrize("path", ["", "vdb", "--help", "/dev/vdb\0"])
def test_a_device_needs_an_absolute_path(path: str) -> None:
    with pytest.raises(InvalidValue, match="absolute"):
        volume.BlockDevice(path)


def test_a_device_that_does_not_appear_is_named_after_the_time() -> None:
    device = volume.BlockDevice("/dev/no-such-device", wait=0.3)
    began = time.monotonic()
    with pytest.raises(NotFound, match="/dev/no-such-device"):
        device.mount(Path("/nonexistent"))
    assert 0.3 <= time.monotonic() - began < 10


def test_waiting_for_a_device_ends_with_a_cancel() -> None:
    with cancelled_once():
        volume.BlockDevice("/dev/no-such-device", wait=30).mount(Path("/nonexistent"))


def test_waiting_for_a_device_ends_with_the_time_of_the_step() -> None:
    with timed_out_after(0.3, "mount the volume"):
        volume.BlockDevice("/dev/no-such-device", wait=30).mount(Path("/nonexistent"))


def test_a_device_that_was_mounted_to_grow_is_unmounted_after_a_cancel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = volume.BlockDevice("/dev/fake", wait=0)
    interruption = Interruption()
    table: list[volume.Mount] = []

    def run(argv: Sequence[str], **_: object) -> None:
        waiting.check()
        if argv[0] == "mount":
            table.append(volume.Mount(1, tmp_path, device.path))
        elif argv[0] == "umount":
            table.clear()
        else:
            interruption.cancel(Cancelled(operation="grow", phase=""))
            waiting.check()

    monkeypatch.setattr(command, "run", run)
    monkeypatch.setattr(volume, "mounts", lambda: list(table))
    monkeypatch.setattr(device, "_look", lambda: 1)
    monkeypatch.setattr(device, "_filesystem", lambda: volume.XFS)
    with interruption.applied(), pytest.raises(Cancelled):
        device.grow(tmp_path, online=False)
    assert table == []


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, os.mkfifo])
def test_what_is_no_block_device_is_never_formatted(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "thing"
    make(path)
    device = volume.BlockDevice(str(path), wait=0)
    with pytest.raises(InvalidValue, match="no block device"):
        device.format_if_empty()


def test_unmounting_a_device_that_is_gone_and_not_mounted_is_nothing(tmp_path: Path) -> None:
    volume.BlockDevice("/dev/no-such-device", wait=0).unmount(tmp_path)


def test_a_mount_point_must_be_absolute() -> None:
    with pytest.raises(InvalidValue, match="absolute"):
        volume.BlockDevice("/dev/no-such-device", wait=0).unmount(Path("data"))


def test_the_table_of_mounts_knows_the_root() -> None:
    root = [mount for mount in volume.mounts() if mount.point == Path("/")]
    assert root
    assert root[-1].device == Path("/").stat().st_dev
