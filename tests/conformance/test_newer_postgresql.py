"""A newer PostgreSQL as the conformance kit sees it, in what it can do beside the distribution's."""

from guestagent.conformance.datastore import Options
from guestagent.conformance.suite import TestArchive, TestBackups, pytest_plugins  # noqa: F401
from tests.conformance.test_postgresql import PSQL, PostgreSQL
from tests.support import newer_postgresql, postgresql


class NewerPostgreSQL(PostgreSQL):
    """With the server of the next distribution."""

    programs = (PSQL,)
    version = str(newer_postgresql.MAJOR)
    incremental = True

    def options(self) -> Options:
        found = postgresql.options(self.directory, newer_postgresql.versions_dir())
        self._port = int(str(found["postgresql"]["port"]))
        return found


DATASTORE = NewerPostgreSQL
