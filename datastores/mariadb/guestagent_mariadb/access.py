"""What every half of the manager needs: the options, the places and the way into the server."""

from pathlib import Path

from guestagent.contract.errors import DatastoreError, InvalidValue
from guestagent.guest import Guest
from guestagent.manager import BaseDatastoreManager
from guestagent.system import volume
from guestagent_mariadb import options
from guestagent_mariadb.administrator import Administrator
from guestagent_mariadb.connection import Connections
from guestagent_mariadb.layout import Layout

CREDENTIALS = "mariadb-administrator.cnf"
ROOM = 1 << 20


class ServerAccess(BaseDatastoreManager):
    """Holds the connections; everything that asks the server derives from it."""

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
        mount_point = self.guest.record.current.mount_point or self.options.mount_point
        return Layout(
            Path(mount_point), Path(self.options.config_dir), Path(self.options.log_dir), Path(self.options.socket)
        )

    @property
    def account(self) -> str | None:
        """The account that the server runs as; none: the agent's own."""
        return self.options.account or None

    def require_room(self) -> None:
        """See that there is room on the volume for another user or database.

        Without it the server waits for room, for ever, or leaves out a part of what it was asked for.

        :raises DatastoreError: the volume is full.
        """
        space = volume.space(self.layout.mount_point)
        left = space.available_blocks * space.block_size
        if left < ROOM:
            problem = f"the volume at {self.layout.mount_point} is full ({left // 1024} KiB left); free some or grow it"
            raise DatastoreError(subject="The change", problem=problem)


def refuse_reserved(what: str, name: str, reserved: frozenset[str]) -> None:
    """Keep the control plane's hands off what belongs to the server or the agent.

    :raises InvalidValue: the name is one of those, in any case.
    """
    if name.lower() in {one.lower() for one in reserved}:
        raise InvalidValue(subject=f"The {what} {name!r}", problem="it is reserved for the server or the agent")
