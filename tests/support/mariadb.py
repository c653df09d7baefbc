"""How a MariaDB guest is configured to be one of many on a machine."""

from pathlib import Path

from guestagent.conformance.ports import LOOPBACK
from tests.support.family import Family, server_options

DATASTORE = "mariadb"
ACCOUNT = "mysql"


def options(directory: Path) -> dict[str, dict[str, object]]:
    """A guest's options; see :func:`tests.support.family.server_options`."""
    own = {"bind_address": LOOPBACK, "socket": directory / "run" / "server.sock"}
    return {DATASTORE: {**server_options(directory, ACCOUNT), **own}}


FAMILY = Family(
    DATASTORE, options, ("pymysql",), ("backup/mariabackup", "backup/mariadb_dump", "archive/mariadb_binlog")
)
