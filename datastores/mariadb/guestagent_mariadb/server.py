"""The server's process: its start with a way back, its stop, and whether it answers."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oslo_log import log

from guestagent.capabilities.configuration import AGENT
from guestagent.capabilities.server import ReadOnly
from guestagent.contract.errors import GuestAgentError
from guestagent.guest import Guest
from guestagent.system import files
from guestagent.system.processes import Service
from guestagent_mariadb import option_file
from guestagent_mariadb.connection import Connections
from guestagent_mariadb.settings import BINARY_LOG, MariaDBSettings

if TYPE_CHECKING:
    from guestagent.capabilities.error_log import ErrorLog

LOG = log.getLogger(__name__)


class MariaDBServer(MariaDBSettings, ReadOnly):
    """Supports the capability *lifecycle*, with a subclass that has the plans."""

    def __init__(self, guest: Guest) -> None:
        super().__init__(guest)
        self._probe = Connections(self.administrator, lambda: self.options.probe_timeout)

    def volume_details(self) -> dict[str, Any]:
        return {"data_directory": str(self.layout.data_dir)}

    @property
    def error_log(self) -> "ErrorLog":
        """What the server says about itself."""
        from guestagent.capabilities.error_log import ErrorLog
        from guestagent_mariadb.server_program import ERROR

        return ErrorLog(self.layout.error_log, ERROR)

    def service(self) -> Service:
        return Service(
            name=f"mariadb-{self.guest.id}",
            argv=[self.options.server_program, f"--defaults-file={self.layout.main_file}"],
            log=self.layout.error_log,
            user=self.account,
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
        self.make_directories()
        self.write_agent_layer()
        self._forget_binary_log()
        super().start_server()

    def stop_server(self) -> None:
        self.connections.close()
        self._probe.close()
        super().stop_server()

    def is_configured_read_only(self) -> bool:
        """Whether the agent's layer says that ordinary users may not write."""
        return option_file.values(self.configuration.read(AGENT), {"read_only"}).get("read_only") == "ON"

    def tell_read_only(self, read_only: bool) -> None:
        self.connections.execute("Changing whether users may write", "SET GLOBAL read_only = %s", (int(read_only),))

    def configure_read_only(self) -> None:
        self.write_agent_layer()

    @property
    def server_directories(self) -> Mapping[Path, int]:
        return {self.layout.log_dir: 0o750, self.layout.socket.parent: 0o755}

    def make_directories(self) -> None:
        super().make_directories()
        for path in (self.layout.tmp_dir, self.layout.exports_dir):
            files.ensure_directory(path, mode=0o700, owner=self.account, group=self.account)

    def _forget_binary_log(self) -> None:
        """Let the server begin anew when it writes a binary log again, if it is started without one now.

        It would go on with the next number, and nobody could see that changes are missing between two of its files.
        """
        if not self.options.binary_log and self.is_down():
            (self.layout.data_dir / f"{BINARY_LOG}.index").unlink(missing_ok=True)
