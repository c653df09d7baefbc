"""``[mariadb_binlog]``: the options of the strategy; the guest reads them."""

from oslo_config import cfg

GROUP = "mariadb_binlog"

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt("binlog_program", default="/usr/bin/mariadb-binlog", help="What makes statements of a binary log."),
    cfg.StrOpt("client_program", default="/usr/bin/mariadb", help="What carries out statements."),
    cfg.StrOpt("server_program", default="/usr/sbin/mariadbd", help="The server, which a replay starts for itself."),
    cfg.IntOpt("use_memory", default=128, min=8, help="MiB of memory for the data while logs are replayed."),
    cfg.IntOpt("start_timeout", default=3600, min=1, help="Seconds in which the server of a replay comes up."),
    cfg.IntOpt(
        "statement_timeout", default=60, min=1, help="Seconds until a statement to the instance's server is given up."
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options; repeating it is safe."""
    conf.register_opts(OPTIONS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options for ``oslo-config-generator``."""
    return [(GROUP, OPTIONS)]
