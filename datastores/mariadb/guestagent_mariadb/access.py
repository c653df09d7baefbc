"""What every half of the manager needs: the options, the places and the way into the server."""

from pathlib import Path

from guestagent.capabilities.volume import DataDirectory
from guestagent.contract.errors import InvalidValue
from guestagent.guest import Guest
from guestagent_mariadb import options
from guestagent_mariadb.administrator import Administrator
from guestagent_mariadb.connection import Connections
from guestagent_mariadb.layout import Layout

CREDENTIALS = "mariadb-administrator.cnf"


class ServerAccess(DataDirectory):
    """Holds the connections; everything that asks the server derives from it. Supports the capability *volumes*."""

    def __init__(self, guest: Guest) -> None:
        super().__init__(guest)
        options.register(guest.conf)
        self.options = guest.conf[options.GROUP]
        self.administrator = Administrator(
            self.options.administrator, guest.state_dir / CREDENTIALS, Path(self.options.socket)
        )
        self.connections = Connections(self.administrator, lambda: self.options.statement_timeout)

    @property
    def layout(self) -> Layout:
        """Where things lie; the mount point is the record's where the control plane named one."""
        return Layout(
            self.mount_point, Path(self.options.config_dir), Path(self.options.log_dir), Path(self.options.socket)
        )

    @property
    def data_dir(self) -> Path:
        return self.layout.data_dir


def refuse_reserved(what: str, name: str, reserved: frozenset[str]) -> None:
    """Keep the control plane's hands off what belongs to the server or the agent.

    :raises InvalidValue: the name is one of those, in any case.
    """
    if name.lower() in {one.lower() for one in reserved}:
        raise InvalidValue(subject=f"The {what} {name!r}", problem="it is reserved for the server or the agent")
