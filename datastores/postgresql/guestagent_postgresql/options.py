"""``[postgresql]``: the options of the guest's side.

Where an option means what it means to Trove's own agent it has the same name, so that an operator's
file goes on working.
"""

from oslo_config import cfg

GROUP = "postgresql"

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        "mount_point", default="/var/lib/postgresql", help="Where the data volume is mounted; the data lie below."
    ),
    cfg.StrOpt(
        "device_path", default="/dev/vdb", help="The data volume's block device; empty: the machine has no volume."
    ),
    cfg.StrOpt(
        "account",
        default="postgres",
        help="The account that the server runs as; empty: the agent's own, for an agent that is not root.",
    ),
    cfg.PortOpt("port", default=5432, help="Where clients reach the server."),
    cfg.StrOpt(
        "listen_addresses",
        default="*",
        help="The addresses on which the server listens, with commas between them; *: all.",
    ),
    cfg.StrOpt(
        "socket_dir", default="/run/postgresql", help="Where the server's socket is, over which the agent works."
    ),
    cfg.StrOpt(
        "config_dir",
        default="/etc/postgresql/guestagent",
        help="The agent's configuration files for the server, which reads no others.",
    ),
    cfg.StrOpt("log_dir", default="/var/log/postgresql", help="The server's log."),
    cfg.StrOpt(
        "versions_dir",
        default="/usr/lib/postgresql",
        help="The server's programs: a directory for each major version, with 'bin' in it.",
    ),
    cfg.StrOpt(
        "locale",
        default="C.UTF-8",
        help="The locale of new data, and of databases that ask for none. Another one sorts as the system's library "
        "does, and indexes on text must be rebuilt when that changes.",
    ),
    cfg.IntOpt("program_timeout", default=3600, min=1, help="Seconds that installing and upgrading data may take."),
    cfg.StrOpt(
        "administrator",
        default="guestagent",
        regex=r"^[a-z][a-z0-9_]{0,31}$",
        help="The server's role that the agent works as. It can log in on the guest only.",
    ),
    cfg.IntOpt(
        "statement_timeout",
        default=120,
        min=1,
        mutable=True,
        help="Seconds until a statement of the agent is given up, for example the dropping of a large database.",
    ),
    cfg.IntOpt(
        "probe_timeout", default=3, min=1, mutable=True, help="Seconds until a server that does not answer is blocked."
    ),
    cfg.ListOpt("ignore_users", default=[], help="Users that are hidden and reserved, beside the server's own."),
    cfg.ListOpt("ignore_dbs", default=[], help="Databases that are hidden and reserved, beside the server's own."),
    cfg.ListOpt("guest_log_exposed_logs", default=["general"], help="The logs that users may see; 'all': every one."),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options; repeating it is safe."""
    conf.register_opts(OPTIONS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options for ``oslo-config-generator``."""
    return [(GROUP, OPTIONS)]
