"""The server's configuration: the layers, what may be in them, and what the running server takes at once."""

import functools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from oslo_log import log

from guestagent.capabilities.configuration import AGENT, BASE, LAYERS, OVERRIDES, Configurable, ConfigurationFiles
from guestagent.capabilities.server import Preparation
from guestagent.contract.errors import InvalidValue
from guestagent_redis import directives, sizing
from guestagent_redis.access import ServerAccess
from guestagent_redis.layout import APPEND_DIR, APPEND_FILE, DUMP
from guestagent_redis.persistence import SETTING, AppendOnlyLog

if TYPE_CHECKING:
    from guestagent_redis.live import LiveSettings
    from guestagent_redis.server_program import Complaint, ServerProgram

LOG = log.getLogger(__name__)

SUFFIX = ".conf"

SWITCHES = frozenset(
    {
        SETTING,
        "port",
        "tls-port",
        "tls-cert-file",
        "tls-key-file",
        "tls-ca-cert-file",
        "tls-auth-clients",
        "tls-protocols",
    }
)
"""What calls of other capabilities set in the agent's layer; it stays there until they change it."""

RESERVED = frozenset(
    {
        # What code the server runs, what files it reads, and who may enter.
        "include",
        "loadmodule",
        "masterauth",
        "masteruser",
        "rename-command",
        "requirepass",
        "user",
        # What else it listens on, and whom it follows.
        "cluster-config-file",
        "cluster-port",
        "replicaof",
        "slaveof",
        "tls-ca-cert-dir",
        "tls-client-cert-file",
        "tls-client-key-file",
        "tls-client-key-file-pass",
        "tls-cluster",
        "tls-dh-params-file",
        "tls-key-file-pass",
        "tls-replication",
    }
)
"""What neither the base configuration nor the user's can set, beside what is in the agent's layer anyway."""

READ_ONLY = {"min-replicas-to-write": str((1 << 31) - 1), "min-replicas-max-lag": "10"}
"""The server takes no write before so many replicas follow it, which never do."""


class RedisSettings(ServerAccess, Configurable):
    """Supports the capability *configuration*."""

    @property
    def configuration(self) -> ConfigurationFiles:
        return ConfigurationFiles(self.layout.config_dir, SUFFIX, self.account)

    @property
    def program(self) -> "ServerProgram":
        """The server's program."""
        from guestagent_redis.server_program import ServerProgram

        return ServerProgram(self.options.server_program, self.account)

    @property
    def append_log(self) -> AppendOnlyLog:
        """The server's log of changes."""
        return AppendOnlyLog(self.client, self.layout, lambda kept: self.write_agent_layer({SETTING: _yes(kept)}))

    def configure(self, preparation: Preparation) -> None:
        """Write all layers of the configuration.

        :raises InvalidValue: the server refuses the user's part.
        """
        with self.configuration.change():
            self._write_base(preparation.config_contents, preparation.memory_mb)
            self.configuration.write(OVERRIDES, self.render(preparation.overrides))
            self.check_configuration()

    def write_base(self, contents: str | None) -> None:
        """Keep what this server can use of a text that was made for another machine and perhaps another version.

        What it does not say follows from the machine's memory.
        """
        self._write_base(contents, None)

    def render(self, values: Mapping[str, Any]) -> str:
        self._refuse_reserved(values)
        return directives.rendered(values)

    def check_configuration(self) -> None:
        self.write_agent_layer()
        complaint = self._judge([self.configuration.read(layer) for layer in (BASE, OVERRIDES)])
        if complaint is not None:
            name = complaint.line.partition(" ")[0]
            raise InvalidValue(subject=f"The setting '{name}'", problem=complaint.words)

    def apply_live(self, values: Mapping[str, Any]) -> list[str]:
        self._refuse_reserved(values)
        wanted = {name: directives.spelled(name, value) for name, value in directives.named(values).items()}
        kept = wanted.pop(SETTING, None)
        if kept not in (None, "yes", "no"):
            raise InvalidValue(subject=f"The setting '{SETTING}'", problem="it is 'yes' or 'no'")
        if self.guest.record.current.read_only:
            # They are on disk, for when users may write again.
            wanted = {name: value for name, value in wanted.items() if name not in READ_ONLY}
        waiting = self._live.apply(wanted)
        if kept is not None:
            self.append_log.keep(kept == "yes")
        return waiting

    def live_values(self, values: Mapping[str, Any]) -> Any:
        return self._live.values(directives.named(values))

    def return_to_live_values(self, kept: Any) -> None:
        before = dict(kept or {})
        log_kept = before.pop(SETTING, None)
        self._live.put_back(before)
        if log_kept is not None:
            self.append_log.keep(log_kept == "yes")

    def configured(self, name: str) -> str | None:
        """What the base and the user's configuration say of a setting; none: nothing."""
        return directives.last((self.configuration.read(layer) for layer in (BASE, OVERRIDES)), name)

    def switches(self) -> dict[str, str]:
        """What calls of other capabilities have set in the agent's layer."""
        found = {name: directives.last([self.configuration.read(AGENT)], name) for name in SWITCHES}
        return {name: value for name, value in found.items() if value is not None}

    def write_agent_layer(self, switches: Mapping[str, str | None] | None = None) -> None:
        """Write the file that the server is started with, and the layer that nobody can override.

        :param switches: to be set; none: to be left to the other layers.
        """
        self._write_main()
        switched = {**self.switches(), **(switches or {})}
        # In one order: what is the same is not written again.
        wanted = {**self._agent_settings(), **dict(sorted(switched.items()))}
        text = directives.rendered({name: value for name, value in wanted.items() if value is not None})
        if text != self.configuration.read(AGENT):
            self.configuration.write(AGENT, text)

    def discard_trial(self) -> None:
        """Remove a configuration that was only to be judged; repeating it is safe."""
        self.layout.trial_file.unlink(missing_ok=True)

    @property
    def _live(self) -> "LiveSettings":
        from guestagent_redis.live import LiveSettings

        return LiveSettings(self.client)

    def _write_base(self, contents: str | None, memory: int | None) -> None:
        given = list(directives.parsed(contents or ""))
        kept = [directive for directive in given if directive.name not in self._reserved]
        while (complaint := self._judge([directives.written(kept)])) is not None:
            usable = [directive for directive in kept if directive.text != complaint.line]
            if usable == kept:
                raise InvalidValue(subject="The base configuration", problem=complaint.words)
            kept = usable
        for directive in given:
            if directive not in kept:
                # Not its value, which may be a password.
                LOG.warning("The base configuration has %r, which this server cannot use; left out", directive.name)
        defaults = sizing.defaults(memory or sizing.machine_memory(), self.options.memory_share)
        self.configuration.write(BASE, directives.rendered(defaults) + directives.written(kept))

    def _judge(self, texts: Iterable[str]) -> "Complaint | None":
        try:
            self.configuration.write_beside(self.layout.trial_file, "".join(texts))
            return self.program.judge(self.layout.trial_file)
        finally:
            self.discard_trial()

    def _agent_settings(self) -> dict[str, str | int | bool]:
        layout = self.layout
        return {
            "dir": str(layout.data_dir),
            "dbfilename": DUMP,
            "appenddirname": APPEND_DIR,
            "appendfilename": APPEND_FILE,
            SETTING: False,
            "aclfile": str(layout.users_file),
            "unixsocket": str(layout.socket),
            "unixsocketperm": 700,
            "port": self.options.port,
            "bind": self.options.bind_address,
            "protected-mode": True,
            # The process is the agent's to keep, and its output the log.
            "daemonize": False,
            "supervised": False,
            "pidfile": "",
            "logfile": "",
            "syslog-enabled": False,
            # Its command line is how an agent recognises it.
            "set-proc-title": False,
            "enable-protected-configs": False,
            "enable-debug-command": False,
            "enable-module-command": False,
            "cluster-enabled": False,
            **(READ_ONLY if self.guest.record.current.read_only else {}),
        }

    def _write_main(self) -> None:
        text = "# Written by the guest agent; the server reads this file and no other.\n"
        text += "".join(f"include {self.configuration.path(layer)}\n" for layer in LAYERS)
        main = self.layout.main_file
        if not all(self.configuration.path(layer).exists() for layer in LAYERS):
            self._write_missing_layers()
        if not main.exists() or main.read_text() != text:
            self.configuration.write_beside(main, text)

    def _write_missing_layers(self) -> None:
        """A server does not start where a file is missing that another one includes."""
        for layer in LAYERS:
            if not self.configuration.path(layer).exists():
                self.configuration.write(layer, "")

    @functools.cached_property
    def _reserved(self) -> frozenset[str]:
        return RESERVED | SWITCHES - {SETTING} | self._agent_settings().keys() - {SETTING} - READ_ONLY.keys()

    def _refuse_reserved(self, values: Mapping[str, Any]) -> None:
        for name in values:
            if name.lower() in self._reserved:
                raise InvalidValue(subject=f"The setting {name[:64]!r}", problem="it is the guest agent's to set")


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"
