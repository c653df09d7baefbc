"""``[agent]``: the agent itself."""

from oslo_config import cfg

GROUP = "agent"

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        "state_dir",
        default="/var/lib/guestagent",
        help="What must survive a restart of the agent: the instance's record, secrets, modules. Mode 0700.",
    ),
    cfg.StrOpt(
        "run_dir",
        default="/run/guestagent",
        help="What must not survive a reboot: the agent's socket, process records of the 'plain' process control.",
    ),
    cfg.StrOpt(
        "local_group",
        help="The group whose members may use the agent's socket, with all that it can do; without one they are root "
        "and the agent's own account.",
    ),
    cfg.StrOpt(
        "storage_dir",
        default="/var/lib/guestagent/storage",
        help="Where the 'local' storage strategy keeps its containers.",
    ),
    cfg.IntOpt(
        "report_interval",
        default=30,
        min=1,
        mutable=True,
        help="Seconds between two heartbeats; the control plane calls an instance dead after 90 by default.",
    ),
    cfg.IntOpt(
        "rpc_workers", default=8, min=2, max=64, help="Threads for calls that only read; changes run one at a time."
    ),
    cfg.IntOpt(
        "busy_wait",
        default=5,
        min=1,
        mutable=True,
        help="Seconds that a call that changes something waits for its turn before it is answered 'busy'.",
    ),
    cfg.IntOpt(
        "flush_timeout",
        default=10,
        min=0,
        help="Seconds that a stopping agent gives the broker to take its last reports.",
    ),
    cfg.StrOpt(
        "process_control",
        default="systemd",
        choices=[
            ("systemd", "the database is a transient unit of the machine's systemd"),
            ("plain", "the agent starts, watches and stops the database's process itself"),
        ],
        help="Who keeps the database's process.",
    ),
    cfg.IntOpt(
        "server_start_timeout", default=120, min=1, mutable=True, help="Seconds until a started server must answer."
    ),
    cfg.IntOpt(
        "server_stop_timeout",
        default=120,
        min=1,
        mutable=True,
        help="Seconds until a stopping server must be gone; then the stop is reported as failed.",
    ),
    cfg.StrOpt(
        "volume_filesystem",
        default="ext4",
        choices=["ext4", "xfs"],
        help="The file system that an empty data volume gets; one that holds anything is never formatted.",
    ),
    cfg.StrOpt(
        "volume_mount_options", default="noatime,nodev,nosuid", help="How data volumes are mounted; see mount(8)."
    ),
    cfg.IntOpt(
        "volume_wait",
        default=30,
        min=0,
        mutable=True,
        help="Seconds that a data volume's device is waited for when it is not there yet.",
    ),
]
