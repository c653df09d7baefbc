"""``[pg_basebackup]``: the options of the strategy; the guest reads them."""

from oslo_config import cfg

GROUP = "pg_basebackup"

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        "versions_dir",
        default="/usr/lib/postgresql",
        help="The server's programs: a directory for each major version, with 'bin' in it.",
    ),
    cfg.IntOpt(
        "max_rate",
        default=0,
        min=0,
        max=1 << 20,
        help="KiB of data a second, from 32 on, while a backup is made; 0: as many as it can.",
    ),
    cfg.StrOpt(
        "checkpoint",
        default="fast",
        choices=["fast", "spread"],
        help="Whether the checkpoint with which a backup begins is made at once, or over some minutes so that users "
        "notice less.",
    ),
    cfg.BoolOpt(
        "hold_wal",
        default=True,
        help="Keep the server from removing write-ahead log that the backup needs, with a temporary replication slot. "
        "Otherwise a long backup of a busy server fails at its end.",
    ),
    cfg.BoolOpt(
        "verify",
        default=True,
        help="Compare every restored file with the server's own manifest, and read the log through.",
    ),
    cfg.IntOpt(
        "kept_manifests",
        default=16,
        min=1,
        help="So many of the server's manifests of past backups stay on the volume, from PostgreSQL 17 on: those of "
        "the backups that were made or built on last. An incremental backup can build on no other. One takes about 140 "
        "bytes for each file of the data.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options; repeating it is safe."""
    conf.register_opts(OPTIONS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options for ``oslo-config-generator``."""
    return [(GROUP, OPTIONS)]
