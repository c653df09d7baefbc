"""``[redis_server]`` and ``[valkey_server]``: the options of the control plane's side. The guest never reads them."""

from oslo_config import cfg, types

DATASTORES = ("redis", "valkey")


def options(datastore: str) -> list[cfg.Opt]:
    """The options of one of the two."""
    return [
        cfg.BoolOpt(
            "root_on_create", default=False, help="Enable root when an instance is created, and tell its password."
        ),
        cfg.BoolOpt("volume_support", default=True, help="Give every instance a data volume."),
        cfg.StrOpt("device_path", default="/dev/vdb", help="Where the data volume appears in the guest."),
        cfg.StrOpt("mount_point", default=f"/var/lib/{datastore}", help="Where the guest mounts the data volume."),
        cfg.ListOpt(
            "tcp_ports",
            default=["6379", "6380"],
            item_type=types.String(regex=r"^\d{1,5}(-\d{1,5})?$"),
            help="The ports, or ranges of ports, that the instance's security group opens.",
        ),
        cfg.BoolOpt("icmp", default=False, help="Let the security group pass ICMP."),
        cfg.IntOpt("usage_timeout", default=400, min=1, help="Seconds until a new instance must be active."),
        cfg.IntOpt("default_password_length", default=36, min=8, help="Characters of a password that is generated."),
        cfg.StrOpt("backup_strategy", default="redis_rdb", help="The backup strategy to use when none is named."),
    ]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options of both; repeating it is safe."""
    for group, declared in list_opts():
        conf.register_opts(declared, group=group)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options for ``oslo-config-generator``."""
    return [(f"{datastore}_server", options(datastore)) for datastore in DATASTORES]
