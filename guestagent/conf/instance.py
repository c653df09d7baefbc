"""What the control plane injects about the instance: ``guest_info.conf``, read as it is."""

from oslo_config import cfg

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt("guest_id", help="The instance's id; the agent listens on guestagent.<guest_id>."),
    cfg.StrOpt(
        "datastore_manager",
        help="The datastore that the control plane expects; must be the one that the image declares.",
    ),
    cfg.StrOpt("datastore_version", help="The version of the datastore that the control plane expects."),
    cfg.StrOpt("tenant_id", help="The project that owns the instance."),
    cfg.StrOpt(
        "instance_rpc_encr_key",
        secret=True,
        help="The key that encrypts the messages of this instance. When it is set, a request that is not "
        "encrypted with it is refused.",
    ),
    cfg.StrOpt("ssl_mode", help="The TLS mode that the control plane has recorded."),
    cfg.DictOpt(
        "datastore_registry_ext",
        default={},
        help="The old way of naming a manager: a dictionary of class paths, injected into every guest. Used, with a "
        "warning that says what to write instead, only where [image] names no datastore.",
    ),
    cfg.StrOpt(
        "conductor_queue", default="trove-conductor", help="The topic on which the control plane's conductor listens."
    ),
    cfg.StrOpt(
        "guest_log_container_name",
        default="database_logs",
        help="The container of the object store that published guest logs go to.",
    ),
    cfg.IntOpt(
        "guest_log_limit", default=1000000, min=1, help="The most bytes of one object of a published guest log."
    ),
]
