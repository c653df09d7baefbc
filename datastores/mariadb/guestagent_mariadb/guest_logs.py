"""The logs that users can have: every statement, slow statements, and what the server says of itself."""

from collections.abc import Collection, Sequence

from guestagent.capabilities.logs import GuestLogs, Log, LogKind
from guestagent_mariadb.server import MariaDBServer

GENERAL, SLOW_QUERY, ERROR = "general", "slow_query", "error"
VARIABLES = {GENERAL: "general_log", SLOW_QUERY: "slow_query_log"}


class MariaDBLogs(MariaDBServer, GuestLogs):
    """Supports the capability *logs*. The agent's own statements are in none of them."""

    def logs(self) -> Sequence[Log]:
        layout = self.layout
        return [
            Log(GENERAL, LogKind.USER, layout.general_log),
            Log(SLOW_QUERY, LogKind.USER, layout.slow_query_log),
            Log(ERROR, LogKind.SYS, layout.error_log),
        ]

    def exposed_logs(self) -> Collection[str]:
        return [name.lower() for name in self.options.guest_log_exposed_logs]

    def switch_log(self, log: Log, enabled: bool) -> bool:
        variable = VARIABLES[log.name]
        switches = {variable: "ON" if enabled else "OFF"}
        if enabled:
            switches |= {f"{variable}_file": str(log.path), "log_output": "FILE"}
        with self.configuration.change():
            self.write_agent_layer(**switches)
            if self.answers():
                for name in reversed(switches):
                    self.connections.execute(
                        f"Switching log '{log.name}'", f"SET GLOBAL {name} = %s", (switches[name],)
                    )
        return False

    def log_enabled(self, log: Log) -> bool:
        variable = VARIABLES[log.name]
        if not self.answers():
            return self.switches().get(variable) == "ON"
        [(enabled,)] = self.connections.fetch(f"Reading log '{log.name}'", f"SELECT @@GLOBAL.{variable}")
        return bool(enabled)
