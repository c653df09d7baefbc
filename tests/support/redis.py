"""How a Redis or Valkey guest is configured to be one of many on a machine."""

import shutil
from pathlib import Path

from guestagent.conformance.ports import LOOPBACK, free_port
from tests.support.family import Family, server_options

DATASTORE = "redis"
SERVERS = ("redis", "valkey")
INSTALLED = [name for name in SERVERS if shutil.which(f"{name}-server")]
"""Not every distribution has both; where there are both, both are tried."""
MISSING = [name for name in SERVERS if name not in INSTALLED]


def options(directory: Path, datastore: str = DATASTORE) -> dict[str, dict[str, object]]:
    """A guest's options; see :func:`tests.support.family.server_options`."""
    own = {"tls_port": free_port(), "bind_address": LOOPBACK, "socket": directory / "run" / "server.sock"}
    return {datastore: {**server_options(directory, datastore), **own}}


FAMILY = Family(DATASTORE, options, ("guestagent_redis.resp",), ("backup/redis_rdb",), ("valkey",))
