"""What a builder chose, as distributions to install and as the image's declaration."""

import dataclasses
import re

RUNTIME = "guestagent"
BUILT_IN = frozenset({"local", "ping"})
"""Plugins that come with the runtime."""


@dataclasses.dataclass(frozen=True)
class Selection:
    """Names of plugins, as ``image.conf`` has them.

    A plugin comes from the distribution that has its name: ``mariadb_dump`` from ``guestagent-mariadb-dump``.
    """

    datastore: str
    backup: tuple[str, ...] = ()
    replication: tuple[str, ...] = ()
    storage: tuple[str, ...] = ("local",)
    modules: tuple[str, ...] = ("ping",)

    @property
    def distributions(self) -> list[str]:
        """The runtime first."""
        plugins = (self.datastore, *self.backup, *self.replication, *self.storage, *self.modules)
        return [RUNTIME, *(canonical(f"{RUNTIME}-{name}") for name in plugins if name not in BUILT_IN)]

    @property
    def declaration(self) -> str:
        """The text of ``/etc/guestagent/image.conf``."""
        lines = {
            "datastore": (self.datastore,),
            "backup_strategies": self.backup,
            "replication_strategies": self.replication,
            "storage_strategies": self.storage,
            "modules": self.modules,
        }
        return "[image]\n" + "".join(f"{name} = {','.join(values)}\n" for name, values in lines.items() if values)


def canonical(name: str) -> str:
    """A distribution's name as it is compared, see PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()
