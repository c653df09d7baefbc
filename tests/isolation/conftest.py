"""The distributions as they are installed, not as they lie in the tree: an image for each family of databases."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support import mariadb, postgresql, redis
from tests.support.environments import build_wheel, environment


@dataclasses.dataclass(frozen=True)
class Family:
    """A datastore, its strategies, and what an agent of them is configured with.

    :ivar options: of a guest that is one of many on a machine.
    :ivar client: the modules that its client library begins with, or its own client.
    :ivar strategies: the folders of those that are made for it alone.
    :ivar aliases: other datastores that its distribution serves.
    """

    datastore: str
    options: Callable[[Path], Mapping[str, Mapping[str, object]]]
    client: tuple[str, ...]
    strategies: tuple[str, ...]
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The datastores that its distribution offers."""
        return [self.datastore, *self.aliases]

    @property
    def folder(self) -> str:
        """Of the datastore's distribution."""
        return f"datastores/{self.datastore}"

    @property
    def package(self) -> str:
        """Of the datastore."""
        return f"guestagent_{self.datastore}"


FAMILIES = (
    Family(mariadb.DATASTORE, mariadb.options, ("pymysql",), ("backup/mariabackup", "backup/mariadb_dump")),
    Family(postgresql.DATASTORE, postgresql.options, ("pg8000", "scramp", "asn1crypto"), ("backup/pg_basebackup",)),
    Family(redis.DATASTORE, redis.options, ("guestagent_redis.resp",), ("backup/redis_rdb",), ("valkey",)),
)


@pytest.fixture(scope="session")
def runtime_wheel() -> Path:
    """The wheel of the runtime."""
    return build_wheel(".")


@pytest.fixture(scope="session", params=FAMILIES, ids=lambda family: family.datastore)
def family(request: pytest.FixtureRequest) -> Family:
    """One family after the other."""
    found: Family = request.param
    return found


@pytest.fixture(scope="session")
def datastore_wheel(family: Family) -> Path:
    """The wheel of the family's datastore."""
    return build_wheel(family.folder)


@pytest.fixture(scope="session")
def image_python(runtime_wheel: Path, datastore_wheel: Path, family: Family) -> Path:
    """The interpreter of a fresh environment with the runtime and what belongs to the family: an image's."""
    strategies = [build_wheel(f"strategies/{folder}") for folder in family.strategies]
    wheels = [runtime_wheel, datastore_wheel, build_wheel("guestagent/backup"), *strategies]
    return environment(f"image-{family.datastore}", [str(wheel) for wheel in wheels])
