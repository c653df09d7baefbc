"""What every half of the manager needs: the options, the places and the way into the server."""

from pathlib import Path

from guestagent.capabilities.volume import DataDirectory
from guestagent.guest import Guest
from guestagent_postgresql import options
from guestagent_postgresql.connection import Connections
from guestagent_postgresql.layout import Layout


class ServerAccess(DataDirectory):
    """Holds the connections; everything that asks the server derives from it. Supports the capability *volumes*."""

    def __init__(self, guest: Guest) -> None:
        super().__init__(guest)
        options.register(guest.conf)
        self.options = guest.conf[options.GROUP]
        self.connections = Connections(
            self.options.administrator, self.layout.socket, lambda: self.options.statement_timeout
        )

    @property
    def layout(self) -> Layout:
        """Where things lie; the mount point is the record's where the control plane named one."""
        return Layout(
            self.mount_point,
            Path(self.options.config_dir),
            Path(self.options.log_dir),
            Path(self.options.socket_dir),
            self.options.port,
        )

    @property
    def data_dir(self) -> Path:
        return self.layout.data_dir
