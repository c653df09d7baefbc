"""A disk beside that of the data."""

from collections.abc import Callable

from guestagent.conformance.disk import Disk
from guestagent.conformance.guest import Guest
from guestagent.conformance.suite.scenarios.scenario import Arguments, Scenario, in_order


def _volume(guest: Guest) -> Arguments:
    return {"device_path": _disk(guest).path, "mount_point": str(guest.datastore.directory / "extra")}


def _disk(guest: Guest) -> Disk:
    assert guest.disk is not None, "the machine needs another disk"
    return guest.disk


def _with_smaller(filesystem: str) -> Callable[[Guest], None]:
    """The disk is not mounted, and its file system is smaller than it."""

    def arrange(guest: Guest) -> None:
        _disk(guest).unmount()
        _disk(guest).make_smaller(filesystem)

    return arrange


def _told_of_disk(filesystem: str) -> Callable[[Guest], Arguments]:
    return lambda guest: {
        "disk.mounted": _disk(guest).mount_points,
        "disk.blocks": _disk(guest).blocks(filesystem),
    }


def _beside(filesystem: str) -> list[Scenario]:
    as_new, look = _with_smaller(filesystem), _told_of_disk(filesystem)
    mounted = in_order(as_new, lambda guest: guest.do("mount_volume", _volume(guest)))
    return [
        Scenario(f"mount {filesystem}", "mount_volume", _volume, as_new, look=look),
        Scenario(f"unmount {filesystem}", "unmount_volume", _volume, mounted, ("mount_volume",), look=look),
        Scenario(f"grow {filesystem}", "resize_fs", _volume, as_new, look=look),
    ]


ON_ANOTHER_DISK = [*_beside("ext4"), *_beside("xfs")]
