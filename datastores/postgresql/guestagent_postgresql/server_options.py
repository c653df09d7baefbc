"""``[postgresql_server]``: the options of the control plane's side. The guest never reads them."""

from oslo_config import cfg, types

GROUP = "postgresql_server"

OPTIONS: list[cfg.Opt] = [
    cfg.BoolOpt("root_on_create", default=False, help="Enable postgres when an instance is created."),
    cfg.BoolOpt("volume_support", default=True, help="Give every instance a data volume."),
    cfg.StrOpt("device_path", default="/dev/vdb", help="Where the data volume appears in the guest."),
    cfg.StrOpt("mount_point", default="/var/lib/postgresql", help="Where the guest mounts the data volume."),
    cfg.ListOpt(
        "tcp_ports",
        default=["5432"],
        item_type=types.String(regex=r"^\d{1,5}(-\d{1,5})?$"),
        help="The ports, or ranges of ports, that the instance's security group opens.",
    ),
    cfg.BoolOpt("icmp", default=False, help="Let the security group pass ICMP."),
    cfg.IntOpt("usage_timeout", default=400, min=1, help="Seconds until a new instance must be active."),
    cfg.IntOpt("default_password_length", default=36, min=8, help="Characters of a password that is generated."),
    cfg.StrOpt("backup_strategy", default="pg_basebackup", help="The backup strategy to use when none is named."),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options; repeating it is safe."""
    conf.register_opts(OPTIONS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options for ``oslo-config-generator``."""
    return [(GROUP, OPTIONS)]
