"""The logs that users can have: every statement, and what the server says of itself."""

from collections.abc import Collection, Sequence

from guestagent.capabilities.logs import GuestLogs, Log, LogKind
from guestagent_postgresql.server import PostgreSQLServer

GENERAL, ERROR = "general", "error"


class PostgreSQLLogs(PostgreSQLServer, GuestLogs):
    """Supports the capability *logs*. The agent's own statements are in none of them.

    The server has one log, which is both: with the statements of users while ``general`` is enabled, and always with
    what the server says of itself.
    """

    def logs(self) -> Sequence[Log]:
        return [Log(GENERAL, LogKind.USER, self.layout.log), Log(ERROR, LogKind.SYS, self.layout.log)]

    def exposed_logs(self) -> Collection[str]:
        return [name.lower() for name in self.options.guest_log_exposed_logs]

    def switch_log(self, log: Log, enabled: bool) -> bool:
        with self.configuration.change():
            self.write_agent_layer(log_statement="all" if enabled else "none")
            if self.answers():
                self.reload()
        return False

    def log_enabled(self, log: Log) -> bool:
        if not self.answers():
            return self.switches().get("log_statement") == "all"
        # The agent's own sessions have another value than those of users.
        rows = self.connections.fetch(
            f"Reading log {log.name!r}",
            "SELECT setting FROM pg_file_settings WHERE name = 'log_statement' AND applied",
        )
        return bool(rows and rows[-1][0] == "all")
