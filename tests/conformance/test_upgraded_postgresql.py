"""PostgreSQL's way to the next major version as the conformance kit sees it."""

from pathlib import Path

from guestagent.conformance.datastore import Options
from guestagent.conformance.suite import TestNextVersion, pytest_plugins  # noqa: F401
from tests.conformance.test_postgresql import PSQL, PostgreSQL
from tests.support import newer_postgresql, postgresql


class UpgradedPostgreSQL(PostgreSQL):
    """With the servers of this distribution and the next one."""

    next_version = str(newer_postgresql.MAJOR)

    def options(self) -> Options:
        versions = self.directory / "versions"
        versions.mkdir()
        (versions / self.version).symlink_to(Path(PSQL).parents[1])
        (versions / self.next_version).symlink_to(newer_postgresql.versions_dir() / self.next_version)
        found = postgresql.options(self.directory, versions)
        self._port = int(str(found["postgresql"]["port"]))
        return found


DATASTORE = UpgradedPostgreSQL
