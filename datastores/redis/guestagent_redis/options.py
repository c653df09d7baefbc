"""``[redis]`` and ``[valkey]``: the options of the guest's side, in the group of the datastore that is declared.

The two servers are configured alike; what differs is where a distribution puts them.
"""

from oslo_config import cfg

DATASTORES = ("redis", "valkey")


def options(datastore: str) -> list[cfg.Opt]:
    """The options of one of the two."""
    return [
        cfg.StrOpt(
            "mount_point",
            default=f"/var/lib/{datastore}",
            help="Where the data volume is mounted; the data lie below.",
        ),
        cfg.StrOpt(
            "device_path", default="/dev/vdb", help="The data volume's block device; empty: the machine has no volume."
        ),
        cfg.StrOpt(
            "account",
            default=datastore,
            help="The account that the server runs as; empty: the agent's own, for an agent that is not root.",
        ),
        cfg.PortOpt("port", default=6379, help="Where clients reach the server without TLS."),
        cfg.PortOpt("tls_port", default=6380, help="Where clients reach the server over TLS, while TLS is enabled."),
        cfg.StrOpt(
            "bind_address",
            default="* -::*",
            help="The addresses on which the server listens, with spaces between them; *: all; one after a - may be "
            "missing on the machine.",
        ),
        cfg.StrOpt(
            "socket",
            default=f"/run/{datastore}/{datastore}.sock",
            help="The server's socket, over which the agent works.",
        ),
        cfg.StrOpt(
            "config_dir",
            default=f"/etc/{datastore}/guestagent",
            help="The agent's configuration files for the server, which reads no others.",
        ),
        cfg.StrOpt("log_dir", default=f"/var/log/{datastore}", help="The server's log."),
        cfg.StrOpt("server_program", default=f"/usr/bin/{datastore}-server", help="The server."),
        cfg.StrOpt(
            "administrator",
            default="guestagent",
            regex=r"^[a-z][a-z0-9_]{0,31}$",
            help="The server's user that the agent works as.",
        ),
        cfg.IntOpt(
            "statement_timeout",
            default=120,
            min=1,
            mutable=True,
            help="Seconds until a command of the agent is given up.",
        ),
        cfg.IntOpt(
            "probe_timeout",
            default=3,
            min=1,
            mutable=True,
            help="Seconds until a server that does not answer is blocked.",
        ),
        cfg.IntOpt(
            "memory_share",
            default=60,
            min=10,
            max=90,
            help="Percent of the machine's memory that the data may take (maxmemory) where the base configuration says "
            "nothing. While data are saved, what users change takes its memory twice.",
        ),
        cfg.ListOpt("ignore_users", default=[], help="Users that are hidden and reserved, beside the server's own."),
        cfg.ListOpt(
            "guest_log_exposed_logs", default=[], help="The logs that users may see: 'server'; 'all': every one."
        ),
        cfg.ListOpt(
            "tls_versions", default=["TLSv1.2", "TLSv1.3"], help="What the server speaks while TLS is enabled."
        ),
    ]


def register(conf: cfg.ConfigOpts, datastore: str) -> None:
    """Register the options of one of the two; repeating it is safe."""
    conf.register_opts(options(datastore), group=datastore)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options for ``oslo-config-generator``."""
    return [(datastore, options(datastore)) for datastore in DATASTORES]
