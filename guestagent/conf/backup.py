"""``[backup]``: what is done with the stream of a backup between the database and the store."""

from oslo_config import cfg

GROUP = "backup"

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        "container",
        default="database_backups",
        help="The container of the object store that backups go to, where the control plane names none.",
    ),
    cfg.IntOpt(
        "freeze_limit",
        default=60,
        min=1,
        mutable=True,
        help="Seconds for which the data are held still at most while the control plane makes a snapshot of the "
        "volume; then they are let go, and the snapshot is said to be of no use.",
    ),
    cfg.IntOpt(
        "archive_interval",
        default=0,
        min=0,
        help="Seconds between two looks for logs that are to be archived, for which the image needs an archive "
        "strategy; 0: none is. What was written since the last one is lost with the machine.",
    ),
    cfg.StrOpt(
        "archive_storage",
        help="The storage strategy that archived logs go to, and come from at a recovery. Unset: the first one of the "
        "image. It must not need the token of a request, which an agent has none of when nobody asks it.",
    ),
    cfg.StrOpt("archive_url", help="The store of the logs, for a storage strategy that serves several."),
    cfg.StrOpt("archive_container", help="The container that logs go to. Unset: that of 'container'."),
    cfg.IntOpt(
        "archive_purge_after",
        default=3600,
        min=-1,
        help="Seconds after which the server may remove a log that is in the store; -1: it may keep it at any age.",
    ),
    cfg.IntOpt(
        "archive_keep_bytes",
        default=1 << 33,
        min=0,
        help="Bytes of closed logs that stay on the server, and never more than a quarter of its volume. What is in "
        "the store goes first, at any age. Where more of them wait for a store that is away, that is told in the log "
        "as critical, and archive_at_limit says what is done. 0: any number.",
    ),
    cfg.StrOpt(
        "archive_at_limit",
        default="keep",
        choices=[
            ("keep", "they stay, so that all can be recovered, and may fill the disk"),
            ("drop", "the oldest go, so that the server has room, and cannot be recovered: a gap"),
        ],
        help="What is done with logs that wait beyond archive_keep_bytes.",
    ),
    cfg.StrOpt(
        "recover_to",
        help="Until where a restored backup is brought forward with archived logs, where the control plane does not "
        "say: '<id of the backup> <time with zone, or position>'. It counts for a prepare with that backup alone.",
    ),
    cfg.StrOpt(
        "compression",
        default="zstd",
        choices=["zstd", "gzip", "none"],
        help="How new backups are compressed; a restore reads all of them.",
    ),
    cfg.IntOpt(
        "compression_level",
        default=1,
        min=-7,
        max=19,
        help="The level: -7 to 19 for zstd, 1 to 9 for gzip. Higher ones are slower, and from 10 on take more memory; "
        "1 is faster than the one of the program zstd.",
    ),
    cfg.IntOpt(
        "compression_threads",
        default=2,
        min=1,
        max=64,
        help="Threads that compress, or decompress, at a time; each takes about 4 MiB.",
    ),
    cfg.StrOpt(
        "encryption_algorithm",
        choices=["AES-256-GCM", "ChaCha20-Poly1305", "none"],
        help="How new backups are encrypted. Unset: with AES-256-GCM if there is a key, not at all if there is none. "
        "An algorithm without a key is refused; 'none' with keys only decrypts.",
    ),
    cfg.ListOpt(
        "encryption_keys",
        default=[],
        secret=True,
        help="Keys, each as <id>:<64 hexadecimal digits>. Prefer encryption_key_file; these come before those.",
    ),
    cfg.StrOpt(
        "encryption_key_file",
        help="A file of mode 0600 with a key on each line: <id> <64 hexadecimal digits>. To change the key, put the "
        "new one first and keep the old ones: backups name theirs.",
    ),
    cfg.StrOpt(
        "trove_aes_cbc_key",
        secret=True,
        help="The backup_aes_cbc_key of a Trove whose own agent made encrypted backups, before Victoria; they can then "
        "be restored. Nothing is encrypted with it.",
    ),
    cfg.IntOpt(
        "trove_segment_size",
        default=1 << 31,
        min=1,
        help="Bytes of a segment of backups that Trove's own agent made: its backup_segment_max_size.",
    ),
    cfg.StrOpt("encryption_key_id", help="The key that encrypts new backups. Unset: the first one."),
    cfg.IntOpt(
        "segment_size",
        default=1 << 24,
        min=1 << 16,
        max=1 << 30,
        help="Bytes of one object in the store. As many of them as parallel_transfers says, and at least two, are held "
        "in memory.",
    ),
    cfg.IntOpt("parallel_transfers", default=2, min=1, max=32, help="Segments that are sent or fetched at a time."),
    cfg.IntOpt(
        "bandwidth_limit", default=0, min=0, help="Bytes per second that go to the store or come from it; 0: no limit."
    ),
    cfg.IntOpt(
        "io_limit",
        default=0,
        min=0,
        help="Bytes per second of the database's stream, before it is compressed, which is what its disk has to give "
        "or take; 0: no limit.",
    ),
    cfg.IntOpt(
        "retries",
        default=5,
        min=0,
        help="How often what the store refuses is tried again at least, after longer and longer pauses.",
    ),
    cfg.IntOpt(
        "retry_patience",
        default=600,
        min=0,
        help="Seconds for which it is tried again at least, so that a network that is away for minutes is outlived.",
    ),
]
