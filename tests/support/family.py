"""The families of the tree, found by the names of their folders: no line of the tests names one beside another."""

import dataclasses
import functools
import importlib
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from guestagent.conformance.ports import free_port
from tests.support.environments import ROOT, build_wheel, environment


@dataclasses.dataclass(frozen=True)
class Family:
    """A datastore, its strategies, and what an agent of them is configured with.

    :ivar options: of a guest that is one of many on a machine.
    :ivar client: the modules that its client library begins with, or its own client.
    :ivar strategies: the folders of those that are made for it alone.
    :ivar aliases: other datastores that its distribution serves.
    """

    datastore: str
    options: Callable[[Path], Mapping[str, Mapping[str, object]]]
    client: tuple[str, ...]
    strategies: tuple[str, ...]
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The datastores that its distribution offers."""
        return [self.datastore, *self.aliases]

    @property
    def folder(self) -> str:
        """Of the datastore's distribution."""
        return f"datastores/{self.datastore}"

    @property
    def package(self) -> str:
        """Of the datastore."""
        return f"guestagent_{self.datastore}"

    def image(self) -> Path:
        """The interpreter of a fresh environment with the runtime and what belongs to the family: an image's."""
        folders = (".", "guestagent/backup", self.folder, *(f"strategies/{folder}" for folder in self.strategies))
        return environment(f"image-{self.datastore}", [str(build_wheel(folder)) for folder in folders])


def server_options(directory: Path, account: str) -> dict[str, object]:
    """The options that every family has, for a server with everything in one directory and on a port of its own.

    The directories that a distribution's package makes are made here: ``volume``, ``run`` and ``log``.

    :param directory: must exist and be reachable for the server's account; short, because the path
        of a socket holds about a hundred characters.
    :param account: the distribution's.
    """
    is_root = os.geteuid() == 0
    for name in ("volume", "run", "log"):
        path = directory / name
        path.mkdir()
        if is_root:
            shutil.chown(path, account, account)
    return {
        "mount_point": directory / "volume",
        "device_path": "",
        "account": account if is_root else "",
        "port": free_port(),
        "config_dir": directory / "config",
        "log_dir": directory / "log",
    }


@functools.cache
def families() -> list[Family]:
    """All of them; each is described in a module of its own beside this one."""
    names = sorted(settings.parent.name for settings in ROOT.glob("datastores/*/setup.cfg"))
    return [importlib.import_module(f"tests.support.{name}").FAMILY for name in names]


def family_of(datastore: str) -> Family:
    """The one whose distribution offers a datastore."""
    [found] = [family for family in families() if datastore in family.names]
    return found
