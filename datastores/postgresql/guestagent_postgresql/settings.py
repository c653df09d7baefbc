"""The server's configuration: the layers, what may be in them, and what the running server takes at once."""

import contextlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oslo_log import log

from guestagent.capabilities.configuration import AGENT, BASE, LAYERS, OVERRIDES, Configurable, ConfigurationFiles
from guestagent.contract.errors import DatastoreDown, DatastoreError, GuestAgentError, InvalidValue
from guestagent.system import volume, waiting
from guestagent_postgresql import conf_file, host_access
from guestagent_postgresql.access import ServerAccess
from guestagent_postgresql.connection import Ask

if TYPE_CHECKING:
    from guestagent_postgresql.programs import Programs

LOG = log.getLogger(__name__)

SUFFIX = ".conf"
VERSION_FILE = "PG_VERSION"
RELOAD_SECONDS = 10
POLL_SECONDS = 0.02

SWITCHES = frozenset({"log_statement", "ssl", "ssl_cert_file", "ssl_key_file", "ssl_ca_file"})
"""What calls of other capabilities set in the agent's layer; it stays there until they change it."""

PLACES = frozenset(
    {
        "config_file",
        "data_directory",
        "hba_file",
        "ident_file",
        "listen_addresses",
        "log_destination",
        "logging_collector",
        "port",
        "unix_socket_directories",
    }
)
"""What the server is told on its command line, where not even a superuser's ``ALTER SYSTEM`` reaches it."""

RESERVED = PLACES | {
    # Where files lie that the server reads or writes.
    "external_pid_file",
    "log_directory",
    "log_file_mode",
    "log_filename",
    "stats_temp_directory",
    "unix_socket_group",
    "unix_socket_permissions",
    # What code and which commands it runs.
    "archive_cleanup_command",
    "archive_command",
    "archive_library",
    "dynamic_library_path",
    "krb_server_keyfile",
    "recovery_end_command",
    "restore_command",
    "ssl_passphrase_command",
    # How clients are checked.
    "ssl",
    "ssl_ca_file",
    "ssl_cert_file",
    "ssl_crl_dir",
    "ssl_crl_file",
    "ssl_dh_params_file",
    "ssl_key_file",
    # What it is to other servers.
    "primary_conninfo",
    "primary_slot_name",
    "promote_trigger_file",
}
"""What the user's configuration cannot set, beside what is in the agent's layer anyway."""

LOADED = frozenset({"session_preload_libraries", "local_preload_libraries"})
"""What the server's program takes on trust: libraries of every new session. Without one of them nobody gets in."""

MAIN = """\
# Written by the guest agent; the server reads this file and what it includes.
# Defaults that the base configuration and the user's may change.
log_line_prefix = '%m [%p] %q%u@%d '
password_encryption = 'scram-sha-256'
"""
SUMMARIZED = """\
# Incremental backups ask the server what has changed.
summarize_wal = on
"""
BOUNDED = """\
# What the slot of the archive may hold while nobody looks after it.
max_slot_wal_keep_size = {}MB
"""
FIRST_SUMMARIZING = 17
"""The major version from which on a server can."""


class PostgreSQLSettings(ServerAccess, Configurable):
    """Supports the capability *configuration*.

    The running server reads its settings from the files, all of them or none, and says itself which of them wait
    for a restart.
    """

    @property
    def configuration(self) -> ConfigurationFiles:
        return ConfigurationFiles(self.layout.config_dir, SUFFIX, self.account)

    @property
    def programs(self) -> "Programs":
        """The programs of the versions that the image holds."""
        from guestagent_postgresql.programs import Programs

        return Programs(Path(self.options.versions_dir), self.account)

    @property
    def data_major(self) -> int | None:
        """The major version of the server that the data are for; none: there are no data yet."""
        return major_of(self.layout.data_dir)

    @property
    def major(self) -> int:
        """The major version of the instance's server: the data's, or for new ones the newest, or the one asked for.

        :raises InvalidValue: the image holds none.
        """
        if (found := self.data_major) is not None:
            return found
        wanted = (self.guest.record.current.datastore_version or "").partition(".")[0]
        for major in self.programs.majors():
            if wanted == str(major):
                return major
        return self.programs.newest()

    def server_arguments(self, **replaced: object) -> list[str]:
        """What the server is started with.

        :param replaced: places that are others, as for a trial.
        """
        layout = self.layout
        places = {
            "data_directory": layout.data_dir,
            "config_file": layout.main_file,
            "hba_file": layout.host_access_file,
            "ident_file": layout.account_map_file,
            "unix_socket_directories": layout.socket_dir,
            "port": self.options.port,
            "listen_addresses": self.options.listen_addresses,
            # What it says goes to its standard error, which is the log.
            "logging_collector": "off",
            "log_destination": "stderr",
            **replaced,
        }
        return [word for name, value in places.items() for word in ("-c", f"{name}={value}")]

    def write_base(self, contents: str | None) -> None:
        """Keep what this server can use of a text that was made for another machine and perhaps another version."""
        from guestagent_postgresql.programs import culprits

        given = list(conf_file.settings(contents or ""))
        kept = [setting for setting in given if setting.name not in self._reserved]
        while complaints := self._trial([setting.text for setting in kept]):
            named = culprits(complaints) & {setting.name for setting in kept}
            if not named:
                raise InvalidValue(subject="The base configuration", problem="; ".join(complaints))
            kept = [setting for setting in kept if setting.name not in named]
        for setting in given:
            if setting not in kept:
                LOG.warning("The base configuration has %r, which this server cannot use; left out", setting.text)
        self.configuration.write(BASE, conf_file.written(kept))

    def render(self, values: Mapping[str, Any]) -> str:
        for name in values:
            self._refuse_reserved(name)
        return conf_file.rendered(values)

    def check_configuration(self) -> None:
        self.write_agent_layer()
        self.check_configuration_for(self.major)
        self._check_libraries()

    def check_configuration_for(self, major: int) -> None:
        """Let the server of a version read the files.

        :raises InvalidValue: it refuses them, in its own words.
        """
        if complaints := self.programs.complaints(major, self.server_arguments()):
            raise InvalidValue(subject="The configuration", problem="; ".join(complaints))

    def apply_live(self, values: Mapping[str, Any]) -> list[str]:
        for name in values:
            self._refuse_reserved(name)
        conf_file.rendered(values)
        with self.connections.session("Reading the configuration again") as ask:
            self._refuse_unknown(ask, values)
            waiting_for_restart = _reload(ask)
            try:
                self.connections.check()
            except GuestAgentError as error:
                # Nobody would get in any more, for example because of a library that is not there.
                with self.configuration.change():  # a server that has died has refused nothing
                    self.take_overrides_back()
                    _reload(ask)
                raise InvalidValue(subject="The configuration", problem=str(error)) from error
        if not waiting_for_restart:
            self.remember_good()
        return waiting_for_restart

    def return_to_live_values(self, kept: Any) -> None:
        # What was to be given to the server was on disk before, and is left there.
        wanted = self.configuration.read(OVERRIDES)
        self.take_overrides_back()
        try:
            with contextlib.suppress(DatastoreDown):  # nothing is in force in a server that does not run
                self.reload()
        finally:
            self.configuration.write(OVERRIDES, wanted)

    def reload(self) -> None:
        """Let the server read its files again, and wait until it has.

        :raises DatastoreDown: it does not answer.
        """
        with self.connections.session("Reading the configuration again") as ask:
            _reload(ask)

    def switches(self) -> dict[str, str]:
        """What calls of other capabilities have set in the agent's layer."""
        return conf_file.values(self.configuration.read(AGENT), SWITCHES)

    def write_agent_layer(self, **switches: str | bool | None) -> None:
        """Write the file that the server is started with, and the layer that nobody can override.

        :param switches: to be set; none: to be left to the other layers.
        """
        self._write_if_changed(self.layout.main_file, self._main_text())
        wanted = {**self.switches(), **switches}
        text = conf_file.rendered(
            {**self._agent_settings(), **{name: value for name, value in wanted.items() if value is not None}}
        )
        self._write_if_changed(self.configuration.path(AGENT), text)
        account_map = host_access.accounts(self.options.administrator, self.account)
        self._write_if_changed(self.layout.account_map_file, account_map)
        self.write_host_access(self.guest.record.current.tls_mode)

    def write_host_access(self, mode: str | None) -> None:
        """Write who may log in.

        :param mode: what clients must show; none: TLS is not managed.
        """
        self._write_if_changed(self.layout.host_access_file, host_access.rules(self.options.administrator, mode))

    def _check_libraries(self) -> None:
        """See that sessions would get in which load what the files say; a server that is down finds out at its start.

        It would be too late when the server has read them: an agent that died then could not get in either.

        :raises InvalidValue: they would not, in the server's words.
        """
        layers = "".join(self.configuration.read(layer) for layer in (BASE, OVERRIDES))
        wanted = conf_file.values(layers, LOADED)
        if not wanted:
            return
        try:
            self.connections.check()
        except GuestAgentError:
            return
        try:
            self.connections.check(wanted)
        except GuestAgentError as error:
            raise InvalidValue(subject="The configuration", problem=str(error)) from error

    def discard_trial(self) -> None:
        """Remove a configuration that was only to be judged; repeating it is safe."""
        self.layout.trial_file.unlink(missing_ok=True)

    def _agent_settings(self) -> dict[str, str | int | bool]:
        return {
            "archive_mode": False,
            "default_transaction_read_only": self.guest.record.current.read_only,
            # The agent reads the log when the server does not start.
            "lc_messages": "C",
            "superuser_reserved_connections": 3,
        }

    def _main_text(self) -> str:
        return self._defaults() + "".join(f"include_if_exists '{self.configuration.path(layer)}'\n" for layer in LAYERS)

    def _defaults(self) -> str:
        # On images without backups nobody would ask, and the server would work and write for nothing.
        is_asked = self.major >= FIRST_SUMMARIZING and bool(self.guest.backup_strategies)
        return MAIN + (SUMMARIZED if is_asked else "") + self._bound()

    def _bound(self) -> str:
        """What keeps a slot from filling the disk, where no agent looks at it, or it may lose log at a limit."""
        options = self.guest.conf.backup
        if not self.guest.archive_strategies or not options.archive_keep_bytes:
            return ""
        most = volume.at_most_a_quarter(options.archive_keep_bytes, self.layout.mount_point)
        if not options.archive_interval:
            return BOUNDED.format(most >> 20)
        # An agent that lives gives up the oldest at the limit itself, and says so; this is for when it does not.
        return BOUNDED.format(2 * most >> 20) if options.archive_at_limit == "drop" else ""

    def _write_if_changed(self, path: Path, text: str) -> None:
        if not path.exists() or path.read_text() != text:
            self.configuration.write_beside(path, text)

    def _trial(self, lines: Sequence[str]) -> list[str]:
        """What the server would say of these lines, and the agent's."""
        text = "\n".join([self._defaults(), *lines, conf_file.rendered(self._agent_settings())])
        try:
            self.configuration.write_beside(self.layout.trial_file, text)
            arguments = self.server_arguments(config_file=self.layout.trial_file)
            return self.programs.complaints(self.major, arguments)
        finally:
            self.discard_trial()

    @property
    def _reserved(self) -> frozenset[str]:
        return RESERVED | frozenset(self._agent_settings())

    def _refuse_reserved(self, name: str) -> None:
        known = conf_file.normalised(name)
        if known in self._reserved or known.startswith("recovery_target"):
            raise InvalidValue(subject=f"The setting {name[:64]!r}", problem="it is the guest agent's to set")

    def _refuse_unknown(self, ask: Ask, names: Mapping[str, Any]) -> None:
        known = {name for (name,) in ask("SELECT lower(name) FROM pg_settings")}
        for name in names:
            # What has a dot may belong to a library that is loaded later.
            if "." not in name and conf_file.normalised(name) not in known:
                raise InvalidValue(subject=f"The setting {name[:64]!r}", problem="this server has no such setting")


def major_of(data_dir: Path) -> int | None:
    """The major version of the server that data are for; none: there are no data."""
    path = data_dir / VERSION_FILE
    return int(path.read_text()) if path.exists() else None


def _reload(ask: Ask) -> list[str]:
    """Let the server read its files, and wait until this session has what they say.

    :returns: the settings that wait for a restart.
    :raises DatastoreError: it does not get to it.
    """
    [[before]] = ask("SELECT pg_conf_load_time()")
    ask("SELECT pg_reload_conf()")
    deadline = time.monotonic() + RELOAD_SECONDS
    while ask("SELECT pg_conf_load_time()") == [[before]]:
        if time.monotonic() > deadline:
            problem = f"the server did not do it within {RELOAD_SECONDS} s"
            raise DatastoreError(subject="Reading the configuration again", problem=problem)
        waiting.pause(POLL_SECONDS)
    return [name for (name,) in ask("SELECT name FROM pg_settings WHERE pending_restart ORDER BY name")]
