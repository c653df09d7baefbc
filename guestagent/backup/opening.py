"""What a job only names, opened: its store, its strategies, and the server that it is about."""

from pathlib import Path

from oslo_config import cfg

from guestagent.backup.archive import BaseArchiveStrategy
from guestagent.backup.base import Server
from guestagent.backup.catalog import Catalog
from guestagent.backup.job import Place, ServerFacts
from guestagent.backup.log_store import LogStore
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


def server_of(facts: ServerFacts) -> Server:
    """The server as a strategy meets it."""
    return Server(
        datastore=facts.datastore,
        version=facts.version,
        data_dir=Path(facts.data_dir),
        scratch_dir=Path(facts.scratch_dir),
        account=facts.account,
        credentials=Path(facts.credentials) if facts.credentials else None,
        configuration=Path(facts.configuration) if facts.configuration else None,
    )
