"""The server's configuration: the layers, what may be in them, and what the running server takes at once."""

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from oslo_log import log

from guestagent.capabilities.configuration import AGENT, BASE, LAYERS, OVERRIDES, Configurable, ConfigurationFiles
from guestagent.contract.errors import InvalidValue
from guestagent_mariadb import option_file
from guestagent_mariadb.access import ServerAccess

if TYPE_CHECKING:
    from guestagent_mariadb.live import LiveVariables
    from guestagent_mariadb.server_program import ServerProgram

LOG = log.getLogger(__name__)

SUFFIX = ".cnf"

SWITCHES = frozenset(
    {
        "general_log",
        "general_log_file",
        "slow_query_log",
        "slow_query_log_file",
        "log_output",
        "ssl_cert",
        "ssl_key",
        "ssl_ca",
        "tls_version",
        "require_secure_transport",
    }
)
"""What calls of other capabilities set in the agent's layer; it stays there until they change it."""

ENDS_THE_SERVER = frozenset({"help", "verbose", "version", "bootstrap", "chroot", "user", "print_defaults"})
"""Options that make a server do something else than serve as its account."""

RESERVED = ENDS_THE_SERVER | {
    # Where files lie that the server reads or writes, and what code it runs.
    "aria_log_dir_path",
    "basedir",
    "character_sets_dir",
    "general_log_file",
    "innodb_data_home_dir",
    "innodb_log_group_home_dir",
    "innodb_tmpdir",
    "innodb_undo_directory",
    "lc_messages_dir",
    "log_basename",
    "plugin_dir",
    "plugin_load",
    "plugin_load_add",
    "slave_load_tmpdir",
    "slow_query_log_file",
    "ssl",
    "ssl_ca",
    "ssl_capath",
    "ssl_cert",
    "ssl_crl",
    "ssl_crlpath",
    "ssl_key",
    "tls_version",
    "require_secure_transport",
    "wsrep_notify_cmd",
    "wsrep_provider",
}
"""What the user's configuration cannot set, beside what is in the agent's layer anyway."""

EXACT = f"[{option_file.SERVER_SECTION}]\ngetopt_prefix_matching = OFF\n"
"""Names count in full only: what a beginning of a name means depends on the server's version."""

MAIN = f"""\
# Written by the guest agent; the server reads this file and no other.
{EXACT}\
# Defaults that the base configuration and the user's may change.
character_set_server = utf8mb4
local_infile = OFF
long_query_time = {{long_query_time}}
skip_name_resolve = ON
"""

BINARY_LOG = "agent_binlog"
"""How the names of its files begin, which lie in the data directory; no one's that the base configuration asks for."""
BINARY_LOG_FILTERS = frozenset({"binlog_do_db", "binlog_ignore_db"})
"""What would leave changes out of it; nobody may set them where there is one."""
DURABLE_BINARY_LOG = "sync_binlog = 1\n"
"""What a backup is brought forward with must not lack what InnoDB has; a default, as those above."""


class MariaDBSettings(ServerAccess, Configurable):
    """Supports the capability *configuration*."""

    @property
    def configuration(self) -> ConfigurationFiles:
        return ConfigurationFiles(self.layout.config_dir, SUFFIX, self.account)

    @property
    def program(self) -> "ServerProgram":
        """The server's program."""
        from guestagent_mariadb.server_program import ServerProgram

        return ServerProgram(self.options.server_program, self.account)

    def write_base(self, contents: str | None) -> None:
        """Keep what this server can use of a text that was made for another machine and perhaps another version."""
        given = list(option_file.server_options(contents or ""))
        unwanted = ENDS_THE_SERVER | self._filters
        kept = [option for option in given if option_file.bare(option.name) not in unwanted]
        while culprits := self._culprits(kept):
            kept = [option for option in kept if option_file.bare(option.name) not in culprits]
        for option in given:
            if option not in kept:
                LOG.warning("The base configuration has %r, which this server cannot use; left out", option.text)
        self.configuration.write(BASE, option_file.written(kept))

    def render(self, values: Mapping[str, Any]) -> str:
        for name in values:
            self._refuse_reserved(name)
        return option_file.rendered(values)

    def check_configuration(self) -> None:
        self.write_agent_layer()
        verdict = self.program.judge(self.layout.main_file)
        if verdict.complaints:
            raise InvalidValue(subject="The configuration", problem="; ".join(verdict.complaints))
        for option in option_file.server_options(self.configuration.read(OVERRIDES)):
            if option.name not in verdict.known:
                problem = "this server has no setting of that name that can be given at its start"
                raise InvalidValue(subject=f"The setting '{option.name}'", problem=problem)
            if option.name in verdict.remarks:
                raise InvalidValue(subject=f"The setting '{option.name}'", problem=verdict.remarks[option.name])

    @property
    def _live(self) -> "LiveVariables":
        from guestagent_mariadb.live import LiveVariables

        return LiveVariables(self.connections)

    def apply_live(self, values: Mapping[str, Any]) -> list[str]:
        for name in values:
            self._refuse_reserved(name)
        return self._live.apply(values)

    def live_values(self, values: Mapping[str, Any]) -> Any:
        return self._live.values(values)

    def return_to_live_values(self, kept: Any) -> None:
        self._live.put_back(kept or {})

    def switches(self) -> dict[str, str]:
        """What calls of other capabilities have set in the agent's layer."""
        return option_file.values(self.configuration.read(AGENT), SWITCHES)

    def write_agent_layer(self, **switches: str | bool | None) -> None:
        """Write the file that the server is started with, and the layer that nobody can override.

        :param switches: to be set; none: to be left to the other layers.
        """
        self._write_main()
        wanted = {**self.switches(), **switches}
        text = option_file.rendered(
            {**self._agent_settings(), **{name: value for name, value in wanted.items() if value is not None}}
        )
        if text != self.configuration.read(AGENT):
            self.configuration.write(AGENT, text)

    def _agent_settings(self) -> dict[str, str | int | bool]:
        layout = self.layout
        claim = layout.claim_file
        return {
            "datadir": str(layout.data_dir),
            "tmpdir": str(layout.tmp_dir),
            "socket": str(layout.socket),
            "pid_file": str(layout.pid_file),
            "log_error": str(layout.error_log),
            "port": self.options.port,
            "bind_address": self.options.bind_address,
            "skip_networking": False,
            "skip_grant_tables": False,
            "symbolic_links": False,
            "core_file": False,
            "secure_file_priv": str(layout.exports_dir),
            "read_only": self.guest.record.current.read_only,
            "init_file": str(claim) if claim.exists() else "",
            **({"log_bin": BINARY_LOG} if self.options.binary_log else {}),
        }

    def _write_main(self) -> None:
        text = MAIN.format(long_query_time=self.options.guest_log_long_query_time / 1000)
        text += DURABLE_BINARY_LOG if self.options.binary_log else ""
        text += "".join(f"!include {self.configuration.path(layer)}\n" for layer in LAYERS)
        main = self.layout.main_file
        if not main.exists() or main.read_text() != text:
            self.configuration.write_beside(main, text)

    def _culprits(self, base: list[option_file.Option]) -> frozenset[str]:
        """The options of a base configuration that this server refuses, as far as it tells at once.

        :raises InvalidValue: it refuses the whole and blames none of them.
        """
        text = EXACT + option_file.written(base) + option_file.rendered(self._agent_settings())
        try:
            self.configuration.write_beside(self.layout.trial_file, text)
            verdict = self.program.judge(self.layout.trial_file)
        finally:
            self.discard_trial()
        found = verdict.culprits & {option_file.bare(option.name) for option in base}
        if verdict.complaints and not found:
            raise InvalidValue(subject="The base configuration", problem="; ".join(verdict.complaints))
        return found

    def discard_trial(self) -> None:
        """Remove a configuration that was only to be judged; repeating it is safe."""
        self.layout.trial_file.unlink(missing_ok=True)

    @functools.cached_property
    def _reserved(self) -> frozenset[str]:
        return RESERVED | frozenset(self._agent_settings()) | self._filters

    @property
    def _filters(self) -> frozenset[str]:
        return BINARY_LOG_FILTERS if self.options.binary_log else frozenset()

    def _refuse_reserved(self, name: str) -> None:
        if option_file.bare(name) in self._reserved or option_file.normalised(name) in self._reserved:
            raise InvalidValue(subject=f"The setting {name[:64]!r}", problem="it is the guest agent's to set")
