"""What the distributions of the tree offer: every entry point names what is there, and every option has its group."""

import configparser
import inspect
from importlib import import_module, metadata
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from oslo_config import cfg

from guestagent.backup.archive import BaseArchiveStrategy
from guestagent.backup.base import BaseBackupStrategy
from guestagent.manager import BaseDatastoreManager
from guestagent.plugins.installed import Group
from guestagent.storage.base import BaseStorage
from tests.support.datastore_package import imported_by

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = "oslo.config.opts"
BASES: dict[str, type] = {
    Group.DATASTORE: BaseDatastoreManager,
    Group.BACKUP: BaseBackupStrategy,
    Group.ARCHIVE: BaseArchiveStrategy,
    Group.STORAGE: BaseStorage,
}


def offered(kind: str) -> list[EntryPoint]:
    """The entry points of the distributions that lie in a folder."""
    found = []
    for settings in sorted(ROOT.glob(f"{kind}/setup.cfg")):
        parser = configparser.ConfigParser()
        parser.read(settings)
        found += metadata.distribution(parser["metadata"]["name"]).entry_points
    return found


DATASTORES, STRATEGIES = offered("datastores/*"), offered("strategies/*/*")


def named(points: list[EntryPoint]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("point", [pytest.param(point, id=f"{point.group}:{point.name}") for point in points])


def options_of(points: list[EntryPoint]) -> list[EntryPoint]:
    return [point for point in points if point.group == OPTIONS]


@named([point for point in (*DATASTORES, *STRATEGIES) if point.group != OPTIONS])
def test_a_plugin_is_of_its_group_and_whole(point: EntryPoint) -> None:
    plugin = point.load()
    assert issubclass(plugin, BASES[point.group])
    assert not inspect.isabstract(plugin)
    assert issubclass(plugin, BaseDatastoreManager | BaseStorage) or plugin.datastores


@named(options_of(STRATEGIES))
def test_a_strategy_registers_options_of_its_name_as_often_as_it_likes(point: EntryPoint) -> None:
    conf = cfg.ConfigOpts()
    for _ in range(2):
        import_module(point.module).register(conf)
    conf([])
    [(group, options)] = point.load()()
    assert point.name == f"guestagent.{group}"
    assert group in {other.name for other in STRATEGIES if other.group != OPTIONS}
    assert {option.dest for option in options} == set(conf[group])


@named(options_of(DATASTORES))
def test_options_of_a_datastore_are_read_without_anything_else(point: EntryPoint) -> None:
    needed = imported_by(f"import {point.module}") - imported_by("from oslo_config import cfg")
    assert needed == {point.module, point.module.partition(".")[0]}


@pytest.mark.parametrize("name", ["Robert'); --", "", "a b", "`", '"', "default user", "x" * 33])
@named([point for point in options_of(DATASTORES) if point.name.endswith(".guest")])
def test_the_name_of_an_administrator_needs_no_quotes(point: EntryPoint, name: str) -> None:
    for group, options in point.load()():
        conf = cfg.ConfigOpts()
        conf.register_opts(options, group=group)
        conf([])
        with pytest.raises(ValueError, match="regex"):
            conf.set_override("administrator", name, group)
