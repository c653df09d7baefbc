"""How a PostgreSQL guest is configured to be one of many on a machine."""

from pathlib import Path

from guestagent.conformance.ports import LOOPBACK
from tests.support.family import Family, server_options

DATASTORE = "postgresql"
ACCOUNT = "postgres"


def options(directory: Path, versions_dir: Path | None = None) -> dict[str, dict[str, object]]:
    """A guest's options; see :func:`tests.support.family.server_options`.

    :param versions_dir: of the programs; none: the distribution's.
    """
    programs: dict[str, object] = {"versions_dir": versions_dir} if versions_dir else {}
    own = {"listen_addresses": LOOPBACK, "socket_dir": directory / "run"}
    given = {DATASTORE: {**server_options(directory, ACCOUNT), **own, **programs}}
    return {**given, "pg_basebackup": programs, "postgresql_wal": programs} if programs else given


FAMILY = Family(
    DATASTORE, options, ("pg8000", "scramp", "asn1crypto"), ("backup/pg_basebackup", "archive/postgresql_wal")
)
