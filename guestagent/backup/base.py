"""What every backup strategy derives from."""

from typing import ClassVar


class BaseBackupStrategy:
    """A way to back up some datastores, found through the entry-point group ``guestagent.backup``.

    :cvar datastores: the names of the datastores that it can back up.
    """

    datastores: ClassVar[frozenset[str]] = frozenset()
