"""The data volume: what is told of it, and what becomes of one that is a disk of its own."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestagent.conformance.claims import claims, given
from guestagent.conformance.disk import Disk, MakeDisk
from guestagent.conformance.guest import PATIENCE, Guest, MakeGuest
from guestagent.system import procfs

SMALL_MIB, LARGE_MIB = 320, 448


@claims("get_filesystem_stats")
class TestVolume:
    """What is told of the file system that holds the data."""

    def test_the_numbers_fit_together(self, guest: Guest) -> None:
        found = guest.do("get_filesystem_stats", fs_path=None)
        assert 0 <= found["avail_blocks"] <= found["free_blocks"] <= found["total_blocks"]
        assert found["block_size"] > 0
        size = found["total_blocks"] * found["block_size"] / (1 << 30)
        assert abs(found["total"] - size) <= max(0.02, size * 0.02)
        assert 0 <= found["used"] <= found["total"]


@claims("prepare", "mount_volume", "unmount_volume", "resize_fs", "get_filesystem_stats", "stop_db", "restart")
@given("write", "read")
class TestDataDisk:
    """The data on a disk of their own, as the control plane attaches and extends it."""

    @pytest.fixture(scope="class")
    @classmethod
    def disk(cls, make_disk: MakeDisk) -> Disk:
        """An empty disk."""
        return make_disk(SMALL_MIB)

    @pytest.fixture(scope="class")
    @classmethod
    def on_disk(cls, disk: Disk, make_guest: MakeGuest) -> Iterator[Guest]:
        """A guest that was prepared with the disk, and has something on it."""
        guest = make_guest()
        guest.prepare(**volume(guest, disk))
        guest.datastore.write(guest.account, "lasting", "data")
        yield guest
        guest.close()
        disk.unmount()

    def test_an_empty_disk_is_formatted_and_holds_the_data(self, on_disk: Guest, disk: Disk) -> None:
        assert disk.mount_points == [mount_point(on_disk)]
        assert 0.8 * SMALL_MIB < size(on_disk) < SMALL_MIB
        assert holds_its_data(on_disk)

    def test_it_is_not_unmounted_under_the_server(self, on_disk: Guest, disk: Disk) -> None:
        assert on_disk.refusal("unmount_volume", volume(on_disk, disk)).kind == "SystemFailure"
        assert holds_its_data(on_disk)

    def test_it_is_extended_while_nothing_uses_it(self, on_disk: Guest, disk: Disk) -> None:
        before = size(on_disk)
        on_disk.do("stop_db")
        on_disk.do("unmount_volume", volume(on_disk, disk))
        assert disk.mount_points == []
        disk.wait_until_free()
        disk.resize(LARGE_MIB)
        on_disk.do("resize_fs", volume(on_disk, disk))
        on_disk.do("mount_volume", volume(on_disk, disk))
        on_disk.do("restart")
        assert size(on_disk) > before
        assert holds_its_data(on_disk)

    def test_after_a_reboot_it_is_mounted_before_the_server_starts(self, on_disk: Guest, disk: Disk) -> None:
        shut_down(on_disk)
        disk.unmount()
        assert list(mount_point(on_disk).iterdir()) == []
        heard = on_disk.heard
        on_disk.agent.boot(on_disk.wire)
        on_disk.wait_for_status("healthy", after=heard)
        assert holds_its_data(on_disk)


def mount_point(guest: Guest) -> Path:
    """Where the control plane has the disk mounted."""
    return guest.datastore.directory / "volume"


def volume(guest: Guest, disk: Disk) -> dict[str, str]:
    """The arguments of a call about the disk."""
    return {"device_path": disk.path, "mount_point": str(mount_point(guest))}


def size(guest: Guest) -> float:
    """The MiB of the data's file system."""
    return float(guest.do("get_filesystem_stats", fs_path=None)["total"]) * 1024


def holds_its_data(guest: Guest) -> bool:
    """Whether the server runs and has what was written, if it keeps anything."""
    kept = not guest.datastore.keeps_data or guest.datastore.read(guest.account, "lasting") == "data"
    return kept and guest.status() == "healthy"


def shut_down(guest: Guest) -> None:
    """End the agent and the server in order, as a machine that is switched off does."""
    guest.agent.terminate()
    leader = guest.server
    assert leader is not None, "no server runs"
    members = procfs.family(leader)
    procfs.send_signal(leader, signal.SIGTERM)
    procfs.wait(members, PATIENCE)
