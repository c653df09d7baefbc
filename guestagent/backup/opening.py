"""What a job only names, opened: its store, and what knows the logs of its server."""

from oslo_config import cfg

from guestagent.backup.archive import BaseArchiveStrategy
from guestagent.backup.catalog import Catalog
from guestagent.backup.job import Place, ServerFacts
from guestagent.backup.log_store import LogStore
from guestagent.backup.strategies import server_of
from guestagent.contract.context import RequestContext
from guestagent.plugins.installed import Group
from guestagent.plugins.loader import load_one
from guestagent.storage.base import BaseStorage


def open_storage(conf: cfg.ConfigOpts, place: Place) -> BaseStorage:
    """The store of a place.

    :raises PluginError: its storage strategy is not there, or wrong.
    """
    storage = load_one(Group.STORAGE, place.storage, BaseStorage)(conf)  # type: ignore[type-abstract]
    return storage.at(place.url)


def open_catalog(conf: cfg.ConfigOpts, place: Place, context: dict[str, object]) -> Catalog:
    """The backups of a place; errors as for :func:`open_storage`."""
    return Catalog(open_storage(conf, place), RequestContext(context), place.container)


def open_logs(conf: cfg.ConfigOpts, place: Place, context: dict[str, object], instance_id: str) -> LogStore:
    """The logs of an instance in a place; errors as for :func:`open_storage`."""
    return LogStore(open_storage(conf, place), RequestContext(context), place.container, instance_id)


def open_archive_strategy(conf: cfg.ConfigOpts, name: str, facts: ServerFacts) -> BaseArchiveStrategy:
    """What knows the logs of a server.

    :raises PluginError: it is not there, or wrong.
    """
    return load_one(Group.ARCHIVE, name, BaseArchiveStrategy)(conf, server_of(facts))  # type: ignore[type-abstract]
