"""``[mariabackup]``: the options of the strategy; the guest reads them."""

from oslo_config import cfg

GROUP = "mariabackup"

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt("program", default="/usr/bin/mariadb-backup", help="What makes and prepares backups."),
    cfg.StrOpt("unpack_program", default="/usr/bin/mbstream", help="What unpacks their streams."),
    cfg.IntOpt(
        "throttle",
        default=0,
        min=0,
        help="Pairs of reads and writes of the data a second, while a backup is made; 0: as many as it can.",
    ),
    cfg.IntOpt(
        "parallel",
        default=2,
        min=1,
        help="Files that are read, or written at a restore, at a time. With one, all that is done with a backup waits "
        "for a single thread.",
    ),
    cfg.IntOpt("use_memory", default=128, min=8, help="MiB of memory that a restore works in, beside the program's."),
    cfg.StrOpt(
        "log_file",
        default="",
        help="Keeps what the programs said in the last backup or restore, mode 0600; empty: only errors are kept, in "
        "the agent's log.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options; repeating it is safe."""
    conf.register_opts(OPTIONS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options for ``oslo-config-generator``."""
    return [(GROUP, OPTIONS)]
