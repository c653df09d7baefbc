"""``[redis_rdb]``: the options of the strategy; the guest reads them."""

from oslo_config import cfg

GROUP = "redis_rdb"

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        "client_program",
        default="",
        help="The server's own client; empty: /usr/bin/redis-cli, or /usr/bin/valkey-cli for valkey.",
    ),
    cfg.IntOpt(
        "save_timeout", default=3600, min=1, help="Seconds that the server may take to save its data for a backup."
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options; repeating it is safe."""
    conf.register_opts(OPTIONS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options for ``oslo-config-generator``."""
    return [(GROUP, OPTIONS)]
