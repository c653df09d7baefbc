"""The data volume of a database: a block device with a file system, mounted where the data lives."""

import abc
from pathlib import Path
from typing import Any

from guestagent.contract.context import RequestContext
from guestagent.contract.errors import InvalidValue, NotFound
from guestagent.contract.volumes import FilesystemStats
from guestagent.manager import BaseDatastoreManager
from guestagent.operations.plan import Plan, Step
from guestagent.system import volume

GIB = 1 << 30


class DataVolume(BaseDatastoreManager, abc.ABC):
    """Supports the capability *volumes*."""

    @property
    @abc.abstractmethod
    def default_mount_point(self) -> str:
        """Where the data volume belongs when the control plane did not say."""

    @property
    @abc.abstractmethod
    def default_device_path(self) -> str | None:
        """The data volume's device when the control plane did not say; none: there is no volume."""

    @property
    def mount_point(self) -> Path:
        """Where the data volume is, or should be, mounted."""
        return Path(self.guest.record.current.mount_point or self.default_mount_point)

    @property
    def device_path(self) -> str | None:
        """The data volume's device, if there is one."""
        return self.guest.record.current.device_path or self.default_device_path

    def volume_details(self) -> dict[str, Any]:
        """What the datastore adds to the statistics, as Trove's ``mgr_extra_info``."""
        return {}

    def attach_volume(self, format_empty: bool) -> None:
        """Mount the data volume, if the instance has one; repeating it is safe.

        :param format_empty: make a file system on a device that has none; one with a file system or
            a partition table is never formatted.
        """
        files_at = self.mount_point
        if self.device_path is None:
            files_at.mkdir(parents=True, exist_ok=True)
            return
        device = self._device(None)
        if format_empty:
            device.format_if_empty(self.guest.conf.agent.volume_filesystem)
        device.mount(files_at, self.guest.conf.agent.volume_mount_options)

    def get_filesystem_stats(self, context: RequestContext, fs_path: str | None = None) -> FilesystemStats:
        try:
            space = volume.space(self.mount_point)
        except FileNotFoundError:
            raise NotFound(subject=f"The mount point {self.mount_point}") from None
        return FilesystemStats(
            block_size=space.block_size,
            total_blocks=space.total_blocks,
            free_blocks=space.free_blocks,
            avail_blocks=space.available_blocks,
            total=round(space.total_blocks * space.block_size / GIB, 2),
            free=space.free_blocks * space.block_size,
            used=round((space.total_blocks - space.free_blocks) * space.block_size / GIB, 2),
            mgr_extra_info=self.volume_details(),
        )

    def detach_volume(self, was_mounted: bool) -> None:
        """Take :meth:`attach_volume` back, unless the volume was mounted before; repeating it is safe."""
        if self.device_path is not None and not was_mounted:
            self._device(None).unmount(self.mount_point)

    def attach_step(self, format_empty: bool) -> Step:
        """The data volume is mounted; see :meth:`attach_volume`."""
        return Step(
            "attach the volume",
            lambda: self.attach_volume(format_empty),
            keep=lambda: volume.is_mounted(self.mount_point),
            undo=self.detach_volume,
            volatile=True,
        )

    def mount_volume(
        self, context: RequestContext, device_path: str | None = None, mount_point: str | None = None
    ) -> None:
        device, point = self._device(device_path), self._mount_point(mount_point)
        options = self.guest.conf.agent.volume_mount_options
        self.guest.carry_out(Plan("mount", [Step("mount it", lambda: device.mount(point, options), volatile=True)]))

    def unmount_volume(
        self, context: RequestContext, device_path: str | None = None, mount_point: str | None = None
    ) -> None:
        device, point = self._device(device_path), self._mount_point(mount_point)
        self.guest.carry_out(Plan("unmount", [Step("unmount it", lambda: device.unmount(point))]))

    def resize_fs(
        self,
        context: RequestContext,
        device_path: str | None = None,
        mount_point: str | None = None,
        online: bool = False,
    ) -> None:
        # ``mount_point`` says nothing new: a device that is mounted grows where it is.
        device = self._device(device_path)
        grow = Step(
            "grow the file system",
            lambda: device.grow(self._scratch, online),
            undo=lambda _: device.unmount(self._scratch),
        )
        self.guest.carry_out(Plan("grow the volume", [grow]))

    @property
    def _scratch(self) -> Path:
        """Where a volume that is not in use is mounted for a moment."""
        return Path(self.guest.conf.agent.run_dir) / "growing"

    def _device(self, asked: str | None) -> volume.BlockDevice:
        path = asked or self.device_path
        if path is None:
            raise InvalidValue(subject="The volume", problem="no device was named and the instance has none")
        return volume.BlockDevice(path, self.guest.conf.agent.volume_wait)

    def _mount_point(self, asked: str | None) -> Path:
        return Path(asked) if asked else self.mount_point
