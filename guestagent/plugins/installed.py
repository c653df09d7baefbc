"""What is installed: the entry points of the runtime's groups, read without importing any of them."""

import dataclasses
import enum
import functools
from collections.abc import Iterable
from importlib import metadata


class Group(enum.StrEnum):
    """The entry-point groups; each has one base class that its entry points lead to."""

    DATASTORE = "guestagent.datastore"
    BACKUP = "guestagent.backup"
    REPLICATION = "guestagent.replication"
    STORAGE = "guestagent.storage"
    MODULE = "guestagent.module"


@dataclasses.dataclass(frozen=True)
class Offer:
    """One entry point, and the distribution that brought it.

    :ivar group: the group that it is offered in.
    :ivar entry_point: as :mod:`importlib.metadata` has it.
    """

    group: Group
    entry_point: metadata.EntryPoint

    @property
    def name(self) -> str:
        """The name that an image declares."""
        return self.entry_point.name

    @property
    def class_path(self) -> str:
        """Where the class is, ``module:Class``."""
        return self.entry_point.value

    @property
    def distribution(self) -> str | None:
        """The name of the distribution; none for a class that only the legacy registry names."""
        return self._distribution_metadata["Name"] if self._distribution_metadata else None

    @property
    def version(self) -> str | None:
        """The version of the distribution."""
        return self._distribution_metadata["Version"] if self._distribution_metadata else None

    @property
    def requirements(self) -> list[str]:
        """What the distribution requires, as requirement specifiers."""
        return (self._distribution_metadata and self._distribution_metadata.get_all("Requires-Dist")) or []

    @property
    def location(self) -> str | None:
        """The directory that the distribution is installed in."""
        found = self.entry_point.dist
        return str(found.locate_file("")) if found else None

    @functools.cached_property
    def _distribution_metadata(self) -> metadata.PackageMetadata | None:
        # Reading it costs a millisecond and is only needed for what was declared.
        found = self.entry_point.dist
        return found.metadata if found else None

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} ({self.class_path})" if self.distribution else self.class_path


def installed() -> list[Offer]:
    """Everything that is offered in the runtime's groups, read afresh.

    stevedore's cache does not do here: it forgets the distributions, keeps one of two equal entry
    points, and tells a changed file from an old one only after up to two minutes (5.10,
    ``_cache._build_cacheable_data`` and the 32-bit times of ``_ftobytes``).
    """
    found = metadata.entry_points()
    return [Offer(group, entry_point) for group in Group for entry_point in found.select(group=group)]


def names(offers: Iterable[Offer], group: Group) -> str:
    """The names in a group, for a sentence."""
    return ", ".join(sorted({offer.name for offer in offers if offer.group is group})) or "nothing"
