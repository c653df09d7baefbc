"""The families that are measured, by the names of their datastores."""

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from benchmarks.backup.family import Family

DATASTORES: Final = (
    "mariadb",
    "postgresql",
    "redis",
)


def family(name: str) -> "Family":
    """A family; what it needs is imported now, and what the others need is not.

    :param name: one of :data:`DATASTORES`.
    """
    found: Family = importlib.import_module(f"benchmarks.backup.{name}").FAMILY
    return found
