"""``[mariadb]``: the options of the guest's side.

Where an option means what it means to Trove's own agent it has the same name, so that an operator's
file goes on working.
"""

from oslo_config import cfg

GROUP = "mariadb"

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt("mount_point", default="/var/lib/mysql", help="Where the data volume is mounted; the data lie below."),
    cfg.StrOpt(
        "device_path", default="/dev/vdb", help="The data volume's block device; empty: the machine has no volume."
    ),
    cfg.StrOpt(
        "account",
        default="mysql",
        help="The account that the server runs as; empty: the agent's own, for an agent that is not root.",
    ),
    cfg.PortOpt("port", default=3306, help="Where clients reach the server."),
    cfg.StrOpt(
        "bind_address", default="*", help="The addresses on which the server listens, with commas between them; *: all."
    ),
    cfg.StrOpt("socket", default="/run/mysqld/mysqld.sock", help="The server's socket, over which the agent works."),
    cfg.StrOpt(
        "config_dir",
        default="/etc/mysql/guestagent",
        help="The agent's configuration files for the server, which reads no others.",
    ),
    cfg.StrOpt("log_dir", default="/var/log/mysql", help="The server's logs."),
    cfg.StrOpt("server_program", default="/usr/sbin/mariadbd", help="The server."),
    cfg.StrOpt("install_program", default="/usr/bin/mariadb-install-db", help="What makes a new data directory."),
    cfg.StrOpt("upgrade_program", default="/usr/bin/mariadb-upgrade", help="What adapts data to a newer server."),
    cfg.IntOpt("program_timeout", default=3600, min=1, help="Seconds that installing and upgrading data may take."),
    cfg.StrOpt(
        "administrator",
        default="guestagent",
        regex=r"^[a-z][a-z0-9_]{0,31}$",
        help="The server's user that the agent works as. It can log in on the guest only.",
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
    cfg.ListOpt(
        "guest_log_exposed_logs",
        default=["general", "slow_query"],
        help="The logs that users may see; 'all': every one.",
    ),
    cfg.IntOpt(
        "guest_log_long_query_time",
        default=1000,
        min=0,
        help="Milliseconds that a statement takes before it is written to the log 'slow_query', while that is enabled.",
    ),
    cfg.BoolOpt(
        "binary_log",
        default=False,
        help="Have the server write a binary log beside its data, which recovery to a point in time needs. It comes "
        "into force at the server's next start, and counts for backups that are made afterwards.",
    ),
    cfg.ListOpt("tls_versions", default=["TLSv1.2", "TLSv1.3"], help="What the server speaks while TLS is enabled."),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options; repeating it is safe."""
    conf.register_opts(OPTIONS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options for ``oslo-config-generator``."""
    return [(GROUP, OPTIONS)]
