"""``[mariadb_dump]``: the options of the strategy; the guest reads them."""

from oslo_config import cfg

GROUP = "mariadb_dump"

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt("dump_program", default="/usr/bin/mariadb-dump", help="What makes backups."),
    cfg.StrOpt("client_program", default="/usr/bin/mariadb", help="What carries out statements."),
    cfg.StrOpt("server_program", default="/usr/sbin/mariadbd", help="The server, which a restore starts for itself."),
    cfg.StrOpt("install_program", default="/usr/bin/mariadb-install-db", help="What makes a new data directory."),
    cfg.ListOpt(
        "server_options",
        default=[],
        help="Options of the server, as 'innodb_page_size=32k', without which it could not hold the data; those that "
        "shape a data directory must be the ones that the instance will have.",
    ),
    cfg.IntOpt("use_memory", default=128, min=8, help="MiB of memory for the data while they are restored."),
    cfg.IntOpt("program_timeout", default=3600, min=1, help="Seconds in which the server is installed or comes up."),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options; repeating it is safe."""
    conf.register_opts(OPTIONS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options for ``oslo-config-generator``."""
    return [(GROUP, OPTIONS)]
