"""The server's process: its start and stop, whether it answers, and whether users may write."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oslo_log import log

from guestagent.capabilities.configuration import AGENT
from guestagent.capabilities.server import ReadOnly
from guestagent.contract.errors import GuestAgentError, InvalidValue
from guestagent.guest import Guest
from guestagent.system.processes import ProcessState, Service
from guestagent_postgresql import conf_file
from guestagent_postgresql.connection import Connections
from guestagent_postgresql.settings import PostgreSQLSettings

if TYPE_CHECKING:
    from guestagent.capabilities.error_log import ErrorLog

LOG = log.getLogger(__name__)

FAST_SHUTDOWN = 2
"""The signal (SIGINT) on which the server ends sessions and stops; on SIGTERM it waits for clients to leave."""


class PostgreSQLServer(PostgreSQLSettings, ReadOnly):
    """Supports the capability *lifecycle*, with a subclass that has the plans."""

    def __init__(self, guest: Guest) -> None:
        super().__init__(guest)
        self._probe = Connections(self.options.administrator, self.layout.socket, lambda: self.options.probe_timeout)

    def volume_details(self) -> dict[str, Any]:
        """The data's place, and the bytes of the write-ahead log, which users do not see in their tables."""
        wal_size = 0
        for path in (self.layout.data_dir / "pg_wal").glob("*"):
            with contextlib.suppress(FileNotFoundError):
                # The server removes what it no longer needs.
                wal_size += path.lstat().st_size
        return {"data_directory": str(self.layout.data_dir), "wal_size": wal_size}

    @property
    def error_log(self) -> "ErrorLog":
        from guestagent.capabilities.error_log import ErrorLog
        from guestagent_postgresql.programs import ERROR

        return ErrorLog(self.layout.log, ERROR)

    def service(self) -> Service:
        return Service(
            name=f"postgresql-{self.guest.id}",
            argv=[self.programs.path(self.major, "postgres"), *self.server_arguments()],
            log=self.layout.log,
            user=self.account,
            stop_signal=FAST_SHUTDOWN,
        )

    def answers(self) -> bool:
        try:
            self._probe.fetch("Asking the server", "SELECT 1")
        except GuestAgentError as error:
            LOG.debug("No answer: %s", error)
            return False
        return True

    def start_server(self) -> None:
        self.attach_volume(format_empty=False)
        self.check_data_version()
        self.make_directories()
        self.write_agent_layer()
        if self.guest.processes.state(self.service()) is ProcessState.CRASHED:
            # Sessions that have outlived their server keep the next one from starting.
            self.stop_server()
        super().start_server()

    def stop_server(self) -> None:
        self.connections.close()
        self._probe.close()
        super().stop_server()

    def check_data_version(self) -> None:
        """See that the image holds the server that the data are for.

        :raises InvalidValue: it does not.
        """
        major, majors = self.data_major, self.programs.majors()
        if major is not None and major not in majors:
            held = ", ".join(map(str, majors)) or "none"
            problem = f"PostgreSQL {major} wrote it, which this image does not hold ({held}); use an image that does"
            raise InvalidValue(subject=f"The data in {self.layout.data_dir}", problem=problem)

    def is_configured_read_only(self) -> bool:
        """Whether the agent's layer says that transactions begin read-only."""
        name = "default_transaction_read_only"
        return conf_file.values(self.configuration.read(AGENT), {name}).get(name) == "on"

    @property
    def server_directories(self) -> Mapping[Path, int]:
        return {self.layout.log_dir: 0o750, self.layout.socket_dir: 0o755}

    def configure_read_only(self) -> None:
        self.write_agent_layer()

    def tell_read_only(self, read_only: bool) -> None:
        self.reload()
