"""What a builder chose, as distributions to install and as the image's declaration."""

import dataclasses
import re
from collections.abc import Mapping

RUNTIME = "guestagent"
BACKUP = "guestagent-backup"
"""What every backup and archive strategy requires."""
BUILT_IN = frozenset({"local", "ping"})
"""Plugins that come with the runtime."""


@dataclasses.dataclass(frozen=True)
class Selection:
    """Names of plugins, as ``image.conf`` has them."""

    datastore: str
    backup: tuple[str, ...] = ()
    archive: tuple[str, ...] = ()
    replication: tuple[str, ...] = ()
    storage: tuple[str, ...] = ("local",)
    modules: tuple[str, ...] = ("ping",)

    @property
    def plugins(self) -> dict[str, tuple[str, ...]]:
        """For each entry-point group of the runtime the names in it."""
        return {
            "guestagent.datastore": (self.datastore,),
            "guestagent.backup": self.backup,
            "guestagent.archive": self.archive,
            "guestagent.replication": self.replication,
            "guestagent.storage": self.storage,
            "guestagent.module": self.modules,
        }

    def distributions(self, offers: Mapping[tuple[str, str], str]) -> list[str]:
        """The runtime first, and none twice.

        :param offers: distributions by what they are known to offer, a group and a name. Another plugin is taken
            to come from the distribution that has its name: ``mariadb_dump`` from ``guestagent-mariadb-dump``.
        """
        plugins = [(group, name) for group, names in self.plugins.items() for name in names if name not in BUILT_IN]
        shared = [BACKUP] if self.backup or self.archive else []
        found = (offers.get(plugin) or canonical(f"{RUNTIME}-{plugin[1]}") for plugin in plugins)
        return list(dict.fromkeys([RUNTIME, *shared, *found]))

    @property
    def declaration(self) -> str:
        """The text of ``/etc/guestagent/image.conf``."""
        lines = {
            "datastore": (self.datastore,),
            "backup_strategies": self.backup,
            "archive_strategies": self.archive,
            "replication_strategies": self.replication,
            "storage_strategies": self.storage,
            "modules": self.modules,
        }
        return "[image]\n" + "".join(f"{name} = {','.join(values)}\n" for name, values in lines.items() if values)


def canonical(name: str) -> str:
    """A distribution's name as it is compared, see PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()
