"""The log that users can have: what the server says of itself."""

from collections.abc import Collection, Sequence

from guestagent.capabilities.logs import GuestLogs, Log, LogKind
from guestagent_redis.server import RedisServer


class RedisLogs(RedisServer, GuestLogs):
    """Supports the capability *logs*. Commands are in none; the server keeps the slow ones in its memory."""

    def logs(self) -> Sequence[Log]:
        return [Log("server", LogKind.SYS, self.layout.log_file)]

    def exposed_logs(self) -> Collection[str]:
        return [name.lower() for name in self.options.guest_log_exposed_logs]
