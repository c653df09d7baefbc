"""``[image]``: what the image's builder put in; only this is ever imported."""

from oslo_config import cfg

GROUP = "image"

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        "datastore", help="The one datastore of this image: a name in the entry-point group guestagent.datastore."
    ),
    cfg.ListOpt("backup_strategies", default=[], help="Names in the entry-point group guestagent.backup."),
    cfg.ListOpt(
        "archive_strategies",
        default=[],
        help="Names in the entry-point group guestagent.archive; the first one archives the server's logs.",
    ),
    cfg.ListOpt("replication_strategies", default=[], help="Names in the entry-point group guestagent.replication."),
    cfg.ListOpt(
        "storage_strategies",
        default=["local"],
        help="Names in the entry-point group guestagent.storage; the first one keeps published logs.",
    ),
    cfg.ListOpt("modules", default=["ping"], help="Module drivers: names in the entry-point group guestagent.module."),
]
