"""The states of a guest's service, in the words that the control plane understands."""

import enum


class ServiceStatus(enum.Enum):
    """What a heartbeat can say; the value is the description that travels.

    Trove's conductor compares descriptions literally (``ServiceStatus.from_description``), and
    refuses every other word. ``upgrading`` is left out on purpose: it shares its code with
    ``restarting`` there and the conductor rejects it.
    """

    NEW = "new"
    BUILDING = "building"
    HEALTHY = "healthy"
    RUNNING = "running"
    INSTANCE_READY = "instance ready"
    BLOCKED = "blocked"
    PAUSED = "paused"
    SHUTDOWN = "shutdown"
    CRASHED = "crashed"
    FAILED = "failed to spawn"
    RESTARTING = "restarting"
    RESTART_REQUIRED = "restart required"
    PROMOTING = "promoting replica"
    EJECTING = "ejecting replica source"
    LOGGING = "transferring guest logs"
    UNKNOWN = "unknown"
    DELETED = "deleted"
    AGENT_ERROR = "guestagent error"


BACKUP_FAILED = "FAILED"
"""The state of a backup that will not be, in Trove's words."""


class Phase(enum.Enum):
    """How far the instance has come, as the agent itself records it."""

    NEW = "new"
    PREPARING = "preparing"
    READY = "ready"
    FAILED = "failed"


class Wanted(enum.Enum):
    """What the control plane last asked of the server."""

    RUNNING = "running"
    STOPPED = "stopped"


class Role(enum.Enum):
    """What an instance is to others of its kind."""

    STANDALONE = "standalone"
    PRIMARY = "primary"
    REPLICA = "replica"
