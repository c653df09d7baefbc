"""``[postgresql_wal]``: the options of the strategy; the guest reads them."""

from oslo_config import cfg

GROUP = "postgresql_wal"

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        "versions_dir",
        default="/usr/lib/postgresql",
        help="The server's programs: a directory for each major version, with 'bin' in it.",
    ),
    cfg.StrOpt("memory", default="64MB", help="The shared memory of the server that a replay starts for itself."),
    cfg.IntOpt("replay_timeout", default=86400, min=1, help="Seconds that a replay may take."),
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
