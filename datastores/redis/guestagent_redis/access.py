"""What every half of the manager needs: the options, the places and the way into the server."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guestagent.capabilities.volume import DataDirectory
from guestagent.guest import Guest
from guestagent_redis import options
from guestagent_redis.administrator import Administrator
from guestagent_redis.layout import Layout

if TYPE_CHECKING:
    from guestagent_redis.client import Client


class ServerAccess(DataDirectory):
    """Holds the client; everything that asks the server derives from it. Supports the capability *volumes*."""

    def __init__(self, guest: Guest) -> None:
        super().__init__(guest)
        options.register(guest.conf, self.datastore_name)
        self.options = guest.conf[self.datastore_name]
        self.administrator = Administrator(
            self.options.administrator,
            guest.state_dir / f"{self.datastore_name}-administrator",
            Path(self.options.socket),
            self.datastore_name,
        )

    @functools.cached_property
    def client(self) -> "Client":
        """What asks the server."""
        # Most agents are idle, and ask the server nothing before it is there.
        from guestagent_redis.client import Client

        return Client(self.administrator, lambda: self.options.statement_timeout)

    @property
    def layout(self) -> Layout:
        """Where things lie; the mount point is the record's where the control plane named one."""
        return Layout(
            self.mount_point, Path(self.options.config_dir), Path(self.options.log_dir), Path(self.options.socket)
        )

    @property
    def data_dir(self) -> Path:
        return self.layout.data_dir

    def volume_details(self) -> dict[str, Any]:
        return {"data_directory": str(self.layout.data_dir)}
