"""Trove's own guest agent, as ``trove-guestagent`` starts it, on a machine that is no guest.

Its ``main`` runs unchanged: options, logging, plugin registry, RPC service, launcher, eventlet. Three
things are taken from it that a machine without Docker and without a volume cannot give: it creates no
account, formats and mounts no device, and its Docker client is told the API's version instead of asking
a daemon for it. All three would cost it time, and none of them takes part in answering a ping.
"""

import functools
import sys

# Before anything else: it patches the standard library.
from trove.cmd import guest  # type: ignore[import-not-found]

import docker  # type: ignore[import-untyped]  # isort: skip


class MountedDevice:
    """A volume that needs nothing done."""

    def __init__(self, device_path: str) -> None:
        self._device_path = device_path

    def mount_points(self, device_path: str) -> list[str]:
        return [device_path]


guest.operating_system.create_user = lambda *arguments, **options: None
guest.volume.VolumeDevice = MountedDevice
docker.from_env = functools.partial(docker.from_env, version="1.41")

sys.exit(guest.main())
