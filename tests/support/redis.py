"""How a Redis or Valkey guest is configured to be one of many on a machine."""

import os
import shutil
from pathlib import Path

from guestagent.conformance.ports import LOOPBACK, free_port

DATASTORE = "redis"
INSTALLED = [name for name in ("redis", "valkey") if shutil.which(f"{name}-server")]
"""Not every distribution has both; where there are both, both are tried."""


def options(directory: Path, datastore: str = DATASTORE) -> dict[str, dict[str, object]]:
    """Options that keep everything of the server in one directory and on ports of its own.

    :param directory: must exist and be reachable for the server's account; short, because the path
        of a socket holds about a hundred characters.
    """
    is_root = os.geteuid() == 0
    data, run, log = (directory / name for name in ("volume", "run", "log"))
    for path in (data, run, log):
        path.mkdir()
        if is_root:
            shutil.chown(path, datastore, datastore)
    return {
        datastore: {
            "mount_point": data,
            "device_path": "",
            "account": datastore if is_root else "",
            "port": free_port(),
            "tls_port": free_port(),
            "bind_address": LOOPBACK,
            "socket": run / "server.sock",
            "config_dir": directory / "config",
            "log_dir": log,
        }
    }
