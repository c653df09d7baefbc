"""The data volume of a database: a block device with a file system, mounted where the data lives."""

import abc
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from oslo_log import log

from guestagent.contract.context import RequestContext
from guestagent.contract.errors import DatastoreError, InvalidValue, NotFound
from guestagent.contract.volumes import FilesystemStats
from guestagent.manager import BaseDatastoreManager
from guestagent.operations.plan import Plan, Step
from guestagent.system import files, volume

LOG = log.getLogger(__name__)

GIB = 1 << 30
ROOM = 1 << 20
"""Bytes that a small change of the data takes at most."""


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

    def require_room(self) -> None:
        """See that there is room on the volume for another user or database.

        Without it a server may wait for room, for ever, or leave out a part of what it was asked for.

        :raises DatastoreError: the volume is full.
        """
        space = volume.space(self.mount_point)
        left = space.available_blocks * space.block_size
        if left < ROOM:
            problem = f"the volume at {self.mount_point} is full ({left // 1024} KiB left); free some or grow it"
            raise DatastoreError(subject="The change", problem=problem)

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


class DataDirectory(DataVolume):
    """Data in one directory of the volume, made whole or not at all."""

    options: Any
    """The plugin's group of options. Three of them have the names of Trove's agent: ``mount_point``; ``device_path``,
    empty where the machine has no volume; ``account``, the server's, empty where that is the agent's own."""

    @property
    def default_mount_point(self) -> str:
        return str(self.options.mount_point)

    @property
    def default_device_path(self) -> str | None:
        return self.options.device_path or None

    @property
    def account(self) -> str | None:
        """The server's account, also the name of its group; none: the agent's own."""
        return self.options.account or None

    @property
    @abc.abstractmethod
    def data_dir(self) -> Path:
        """The data; when it exists it is complete."""

    @abc.abstractmethod
    def make_data(self, directory: Path) -> None:
        """Make empty data in an empty directory of the server's account.

        :raises GuestAgentError: it cannot be done; the directory is thrown away.
        """

    @property
    def server_directories(self) -> Mapping[Path, int]:
        """The directories outside of the volume that the server needs, and the modes of those that have to be made."""
        return {}

    def set_up_account(self) -> None:
        """Make the server's account and the directories that it needs; repeating it is safe."""
        if self.account:
            from guestagent.system import accounts

            accounts.ensure(self.account, self.mount_point)
        self.make_directories()

    def make_directories(self) -> None:
        """Make what the server needs to find, also after a reboot; repeating it is safe."""
        if os.geteuid() == 0:
            # Where the server could write, it could put links in the way of what root does there.
            files.ensure_directory(self.mount_point, mode=0o755, owner="root", group="root")
        for path, mode in self.server_directories.items():
            # One that is there may be the distribution's, with its own idea of who looks in.
            if not path.exists():
                files.ensure_directory(path, mode=mode, owner=self.account, group=self.account)

    @property
    def unfinished_data_dir(self) -> Path:
        """Data in the making."""
        return self.data_dir.with_name(f".{self.data_dir.name}-unfinished")

    def initialise_data(self, fill: Callable[[Path], None] | None = None) -> None:
        """Make the data, whole or not at all; those that exist are kept.

        :param fill: makes them; none: they begin empty.
        """
        if self.data_dir.exists():
            LOG.info("%s exists and is kept", self.data_dir)
            return
        self.discard_unfinished_data()
        files.ensure_directory(self.unfinished_data_dir, mode=0o700, owner=self.account, group=self.account)
        (fill or self.make_data)(self.unfinished_data_dir)
        self.unfinished_data_dir.rename(self.data_dir)
        files.sync_directory(self.data_dir.parent)

    def discard_unfinished_data(self) -> None:
        """Remove what an initialisation that did not get to its end has left; repeating it is safe."""
        files.remove_tree(self.unfinished_data_dir)

    def find_data(self) -> None:
        """See that the volume holds data.

        :raises NotFound: it does not.
        """
        if not self.data_dir.is_dir():
            raise NotFound(subject=f"The data directory {self.data_dir}")

    def data_step(self, fill: Callable[[Path], None] | None = None) -> Step:
        """There are data; see :meth:`initialise_data`."""
        return Step(
            "restore the data" if fill else "initialise the data",
            lambda: self.initialise_data(fill),
            undo=lambda _: self.discard_unfinished_data(),
        )
