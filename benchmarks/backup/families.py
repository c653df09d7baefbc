"""The families that are measured, by the names of their datastores."""

from collections.abc import Mapping
from typing import Final

from benchmarks.backup.family import Family
from benchmarks.backup.mariadb import MARIADB
from benchmarks.backup.postgresql import POSTGRESQL
from benchmarks.backup.redis import REDIS

FAMILIES: Final[Mapping[str, Family]] = {family.name: family for family in (MARIADB, POSTGRESQL, REDIS)}
