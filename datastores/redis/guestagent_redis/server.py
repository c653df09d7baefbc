"""The server's process: its start with what is on the disk, its stop, and whether it answers."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from oslo_log import log

from guestagent.capabilities.configuration import AGENT
from guestagent.capabilities.server import ReadOnly
from guestagent.contract.errors import GuestAgentError
from guestagent.system import files
from guestagent.system.processes import Service
from guestagent_redis import acl, directives
from guestagent_redis.persistence import SETTING
from guestagent_redis.settings import READ_ONLY, RedisSettings

if TYPE_CHECKING:
    from guestagent.capabilities.error_log import ErrorLog
    from guestagent_redis.client import Client

LOG = log.getLogger(__name__)

LONGEST_USERS_FILE = 64 << 20
WRITABLE = {"min-replicas-to-write": "0", "min-replicas-max-lag": "10"}
"""The defaults of the server for what :data:`READ_ONLY` sets."""


class RedisServer(RedisSettings, ReadOnly):
    """Supports the capability *lifecycle*, with a subclass that has the plans."""

    @functools.cached_property
    def _probe(self) -> "Client":
        from guestagent_redis.client import Client

        return Client(self.administrator, lambda: self.options.probe_timeout)

    @property
    def error_log(self) -> "ErrorLog":
        """What the server says about itself."""
        from guestagent.capabilities.error_log import ErrorLog
        from guestagent_redis.server_program import ERROR

        return ErrorLog(self.layout.log_file, ERROR)

    @property
    def server_directories(self) -> Mapping[Path, int]:
        return {self.layout.log_dir: 0o750, self.layout.socket.parent: 0o755}

    def service(self) -> Service:
        return Service(
            name=f"{self.datastore_name}-{self.guest.id}",
            argv=[self.options.server_program, str(self.layout.main_file)],
            log=self.layout.log_file,
            user=self.account,
        )

    def answers(self) -> bool:
        try:
            refused = self._probe.refusal("PING")
        except GuestAgentError as error:
            LOG.debug("No answer: %s", error)
            return False
        # One whose disk is full says so, and serves who reads.
        return refused is None or refused.code == "MISCONF"

    def start_server(self) -> None:
        self.attach_volume(format_empty=False)
        self.find_data()
        self.make_directories()
        if self.is_down():
            self.claim_users()
            self.write_agent_layer({SETTING: "yes" if self.append_log.exists else "no"})
        super().start_server()

    def launch_server(self) -> None:
        super().launch_server()
        self.append_log.keep(self.configured(SETTING) == "yes")

    def stop_server(self) -> None:
        self.client.close()
        self._probe.close()
        super().stop_server()

    def claim_users(self) -> None:
        """Let the agent in and nobody without a password, from the next start on; repeating it is safe."""
        # What an agent that died here had begun holds what passwords are checked with.
        files.sweep(self.mount_point)
        path = self.layout.users_file
        present = files.read_part(path, 0, LONGEST_USERS_FILE)
        text = acl.claimed(present, self.administrator.name, self.administrator.claim())
        if text != present:
            # Where the server cannot write, it cannot put a link in the way.
            account, scratch = self.account, self.mount_point
            with files.replacing(path, mode=0o600, owner=account, group=account, scratch=scratch) as stream:
                stream.write(text.encode())

    def tidy(self) -> None:
        super().tidy()
        files.sweep(self.mount_point)

    def is_configured_read_only(self) -> bool:
        """Whether the agent's layer says that nobody may write."""
        name, value = next(iter(READ_ONLY.items()))
        return directives.last([self.configuration.read(AGENT)], name) == value

    def tell_read_only(self, read_only: bool) -> None:
        lifted = {name: self.configured(name) or default for name, default in WRITABLE.items()}
        self.client.set("Changing whether users may write", READ_ONLY if read_only else lifted)

    def configure_read_only(self) -> None:
        self.write_agent_layer()
