"""The images that are proved: chosen as a builder does, and used as the conformance kit describes their datastores."""

import dataclasses
import importlib

from guestagent.conformance.datastore import Datastore


@dataclasses.dataclass(frozen=True)
class Build:
    """What a builder asks for, and what the tests need to know of it.

    :ivar datastore: the kit's description, whose clients are the users here.
    :ivar family: the distribution of the plugin, without its prefix.
    :ivar server: names of the server's processes.
    :ivar port: where the plugin lets it listen.
    :ivar release: of Debian.
    :ivar disk: how it is partitioned.
    :ivar form: of the file.
    :ivar megabytes: that its file may have, compressed.
    :ivar version: of the datastore; empty: the one of the description.
    """

    datastore: type[Datastore]
    family: str
    server: frozenset[str]
    port: int
    release: str = "bookworm"
    disk: str = "mbr"
    form: str = "qcow2"
    megabytes: int = 250
    version: str = ""

    @property
    def name(self) -> str:
        """Of the datastore."""
        return self.datastore.name

    @property
    def strategy(self) -> str:
        """Of its backups."""
        assert self.datastore.backup_strategy is not None
        return self.datastore.backup_strategy

    @property
    def selection(self) -> list[str]:
        """The options of ``guestagent-image`` that choose what is in it."""
        return [f"--datastore={self.name}", f"--backup={self.strategy}", "--storage=swift"]

    @property
    def options(self) -> list[str]:
        """Those that say how it is built."""
        return [f"--release={self.release}", f"--disk={self.disk}"]

    def __str__(self) -> str:
        return f"{self.name}-{self.release}-{self.disk}-{self.form}"


def _described(family: str) -> type[Datastore]:
    found: type[Datastore] = importlib.import_module(f"tests.conformance.test_{family}").DATASTORE
    return found


MARIADB = Build(_described("mariadb"), "mariadb", frozenset({"mariadbd", "mysqld"}), 3306)
POSTGRESQL = Build(_described("postgresql"), "postgresql", frozenset({"postgres"}), 5432, megabytes=275)
REDIS = Build(_described("redis"), "redis", frozenset({"redis-server"}), 6379)
VALKEY = Build(_described("valkey"), "redis", frozenset({"valkey-server"}), 6379, megabytes=200)

ALL = (
    MARIADB,
    POSTGRESQL,
    dataclasses.replace(REDIS, disk="gpt", form="raw"),
    VALKEY,
    dataclasses.replace(POSTGRESQL, release="trixie", version="17"),
)
"""What ``make test-images`` proves; ``make test-image`` the first of them."""
