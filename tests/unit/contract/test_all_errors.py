"""Every error of the tree: what a program knows it by is its own."""

import collections
import importlib
import pkgutil
from collections.abc import Iterator
from importlib import metadata

from guestagent.contract.errors import GuestAgentError
from guestagent.plugins.installed import Group

PREFIX = "guestagent"


def packages() -> list[str]:
    """The runtime's package and those of all plugins that are installed here."""
    offered = (point for group in Group for point in metadata.entry_points(group=group.value))
    return sorted({PREFIX, *(point.module.partition(".")[0] for point in offered)})


def kinds() -> list[type[GuestAgentError]]:
    """All of its classes of errors."""
    for name in packages():
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            importlib.import_module(module.name)

    def below(kind: type[GuestAgentError]) -> Iterator[type[GuestAgentError]]:
        yield kind
        for child in kind.__subclasses__():
            yield from below(child)

    return sorted({kind for kind in below(GuestAgentError) if kind.__module__.startswith(PREFIX)}, key=repr)


def test_no_two_errors_have_one_id_and_each_has_one() -> None:
    found = kinds()
    assert len(packages()) > 5
    assert len(found) > 50
    assert [kind for kind in found if "id" not in vars(kind)] == []
    used = collections.Counter(kind.id for kind in found)
    assert [(name, times) for name, times in used.items() if times > 1] == []
