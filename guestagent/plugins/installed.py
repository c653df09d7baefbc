"""What is installed: the entry points of the runtime's groups, read without importing any of them."""

import enum
import functools
from collections.abc import Iterable
from importlib import metadata

import msgspec


class Group(enum.StrEnum):
    """The entry-point groups; each has one base class that its entry points lead to."""

    DATASTORE = "guestagent.datastore"
    BACKUP = "guestagent.backup"
    ARCHIVE = "guestagent.archive"
    REPLICATION = "guestagent.replication"
    STORAGE = "guestagent.storage"
    MODULE = "guestagent.module"


class Package:
    """An installed distribution.

    :param distribution: as :mod:`importlib.metadata` has it.
    """

    def __init__(self, distribution: metadata.Distribution) -> None:
        self._distribution = distribution

    @property
    def name(self) -> str:
        """Its name, as its own metadata write it."""
        return self._metadata["Name"]

    @property
    def version(self) -> str:
        """Its version."""
        return self._metadata["Version"]

    @property
    def requirements(self) -> list[str]:
        """What it requires, as requirement specifiers."""
        return self._metadata.get_all("Requires-Dist") or []

    @property
    def classifiers(self) -> list[str]:
        """What it says of itself in the words of https://pypi.org/classifiers/."""
        return self._metadata.get_all("Classifier") or []

    @property
    def location(self) -> str:
        """The directory that it is installed in."""
        return str(self._distribution.locate_file(""))

    @functools.cached_property
    def _metadata(self) -> metadata.PackageMetadata:
        # Reading them costs a millisecond and more, and is only needed for what was declared.
        return self._distribution.metadata


class Offer(msgspec.Struct, frozen=True):
    """One entry point.

    :ivar group: the group that it is offered in.
    :ivar entry_point: as :mod:`importlib.metadata` has it.
    :ivar package: what brought it; none for a class that only the legacy registry names.
    """

    group: Group
    entry_point: metadata.EntryPoint
    package: Package | None = None

    @property
    def name(self) -> str:
        """The name that an image declares."""
        return self.entry_point.name

    @property
    def class_path(self) -> str:
        """Where the class is, ``module:Class``."""
        return self.entry_point.value

    def __str__(self) -> str:
        return f"{self.package.name} {self.package.version} ({self.class_path})" if self.package else self.class_path


def installed() -> list[Offer]:
    """Everything that is offered in the runtime's groups, read afresh.

    stevedore's cache does not do here: it forgets the distributions, keeps one of two equal entry
    points, and tells a changed file from an old one only after up to two minutes (5.10,
    ``_cache._build_cacheable_data`` and the 32-bit times of ``_ftobytes``).
    """
    found = metadata.entry_points()
    packages: dict[metadata.Distribution | None, Package] = {}
    offers = []
    for group in Group:
        for entry_point in found.select(group=group):
            distribution = entry_point.dist
            if distribution is not None:
                packages.setdefault(distribution, Package(distribution))
            offers.append(Offer(group, entry_point, packages.get(distribution)))
    return offers


def names(offers: Iterable[Offer], group: Group) -> str:
    """The names in a group, for a sentence."""
    return ", ".join(sorted({offer.name for offer in offers if offer.group is group})) or "nothing"
