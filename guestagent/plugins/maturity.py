"""How far a plugin is to be trusted: what its distribution declares by a classifier, readable without importing it.

``guestagent_image`` has a link to this file: what judges an image on the builder's machine does not import the runtime,
and takes its measure from nothing that it judges.
"""

import enum
from collections.abc import Iterable


class Maturity(enum.Enum):
    """The levels; each is less than the next."""

    EXPERIMENTAL = "experimental"
    """Nobody vouches for it, or nobody has said anything."""

    TECHNICAL_PREVIEW = "technical-preview"
    """Its author has shown that it does what it claims; calls may be missing, and details may change."""

    STABLE = "stable"
    """Instances that somebody depends on can be made of it."""

    @classmethod
    def of(cls, classifiers: Iterable[str]) -> "Maturity":
        """The level of a distribution with these classifiers; the lowest, if several are declared."""
        declared = [line for line in classifiers if line.startswith("Development Status :: ")]
        return min((LEVELS.get(status, cls.EXPERIMENTAL) for status in declared), default=cls.EXPERIMENTAL)

    def __lt__(self, other: "Maturity") -> bool:
        levels = list(Maturity)
        return levels.index(self) < levels.index(other)


LEVELS = {
    "Development Status :: 4 - Beta": Maturity.TECHNICAL_PREVIEW,
    "Development Status :: 5 - Production/Stable": Maturity.STABLE,
    "Development Status :: 6 - Mature": Maturity.STABLE,
}
"""By the classifiers of https://pypi.org/classifiers/; every other status, and none, is experimental."""
