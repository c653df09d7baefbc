"""How a PostgreSQL guest is configured to be one of many on a machine."""

import os
import shutil
from pathlib import Path

from guestagent.conformance.ports import LOOPBACK, free_port

DATASTORE = "postgresql"
ACCOUNT = "postgres"


def options(directory: Path, versions_dir: Path | None = None) -> dict[str, dict[str, object]]:
    """Options that keep everything of the server in one directory and on a port of its own.

    :param directory: must exist and be reachable for the server's account; short, because the path
        of a socket holds about a hundred characters.
    :param versions_dir: of the programs; none: the distribution's.
    """
    is_root = os.geteuid() == 0
    data, run, log = (directory / name for name in ("volume", "run", "log"))
    for path in (data, run, log):
        path.mkdir()
        if is_root:
            shutil.chown(path, ACCOUNT, ACCOUNT)
    programs: dict[str, object] = {"versions_dir": versions_dir} if versions_dir else {}
    given: dict[str, dict[str, object]] = {
        "postgresql": {
            "mount_point": data,
            "device_path": "",
            "account": ACCOUNT if is_root else "",
            "port": free_port(),
            "listen_addresses": LOOPBACK,
            "socket_dir": run,
            "config_dir": directory / "config",
            "log_dir": log,
            **programs,
        }
    }
    return {**given, "pg_basebackup": programs} if programs else given
