"""What every replication strategy derives from."""

from typing import ClassVar


class BaseReplicationStrategy:
    """A way to replicate some datastores, found through the entry-point group ``guestagent.replication``.

    :cvar datastores: the names of the datastores that it can replicate.
    """

    datastores: ClassVar[frozenset[str]] = frozenset()
