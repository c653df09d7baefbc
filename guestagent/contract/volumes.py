"""The data volume."""

from typing import Any

import msgspec

from guestagent.contract.call import Capability, call
from guestagent.contract.context import RequestContext


class FilesystemStats(msgspec.Struct):
    """The space of the file system that holds the data.

    ``total`` and ``used`` are in GiB as floats, ``free`` is in bytes, the blocks are counts of
    ``block_size`` bytes. The control plane computes its percentage from the blocks.
    """

    block_size: int
    total_blocks: int
    free_blocks: int
    avail_blocks: int
    total: float
    free: int
    used: float
    mgr_extra_info: dict[str, Any] = {}


class Volumes(Capability):
    """Mount, unmount, grow and measure the data volume."""

    @call(reads=True, required=True, needs_instance=False)
    def get_filesystem_stats(self, context: RequestContext, fs_path: str | None = None) -> FilesystemStats:
        """The space of the data's file system; ``fs_path`` is accepted and not used, as Trove sends null.

        :raises NotFound: the mount point does not exist.
        """

    @call(repeatable=True, needs_instance=False)
    def mount_volume(
        self, context: RequestContext, device_path: str | None = None, mount_point: str | None = None
    ) -> None:
        """Mount the device; mounted there already: nothing to do."""

    @call(repeatable=True, needs_instance=False)
    def unmount_volume(
        self, context: RequestContext, device_path: str | None = None, mount_point: str | None = None
    ) -> None:
        """Unmount the device; not mounted: nothing to do.

        :raises SystemFailure: something still uses it.
        """

    @call(since="1.0", repeatable=True, needs_instance=False)
    def resize_fs(
        self,
        context: RequestContext,
        device_path: str | None = None,
        mount_point: str | None = None,
        online: bool = False,
    ) -> None:
        """Grow the file system to the size of its device. Since 1.1 with ``online``.

        :param online: the file system stays mounted and the server runs on.
        """
