"""Loading exactly what is declared: nothing else of what is installed is imported."""

from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
from oslo_log import log
from stevedore.driver import DriverManager

from guestagent.manager import BaseDatastoreManager
from guestagent.modules.driver import ModuleDriver
from guestagent.plugins.compatibility import unmet
from guestagent.plugins.declaration import Declaration
from guestagent.plugins.errors import (
    ImportFailed,
    LegacyRefused,
    NotInstalled,
    OfferedTwice,
    OtherRuntime,
    UnfitStrategy,
    WrongClass,
)
from guestagent.plugins.installed import Group, Offer, installed, names
from guestagent.storage.base import BaseStorage

if TYPE_CHECKING:
    from guestagent.backup.archive import BaseArchiveStrategy
    from guestagent.backup.base import BaseBackupStrategy
    from guestagent.replication.base import BaseReplicationStrategy

LOG = log.getLogger(__name__)

RUNTIME = "guestagent"
Base = TypeVar("Base")
Strategy = TypeVar("Strategy", bound="BaseBackupStrategy | BaseArchiveStrategy | BaseReplicationStrategy")


class Loaded(msgspec.Struct, frozen=True):
    """What the image declares, imported; classes by their declared names, in the image's order.

    :ivar description: for the capability document: under ``datastore`` a plugin, under ``strategies`` a
        list of plugins for each of ``backup``, ``archive``, ``replication``, ``storage`` and ``module``. A plugin is
        ``{"name", "distribution", "version", "class"}``.
    """

    declaration: Declaration
    manager: type[BaseDatastoreManager]
    backup: "Mapping[str, type[BaseBackupStrategy]]"
    archive: "Mapping[str, type[BaseArchiveStrategy]]"
    replication: "Mapping[str, type[BaseReplicationStrategy]]"
    storage: Mapping[str, type[BaseStorage]]
    modules: Mapping[str, type[ModuleDriver]]
    description: Mapping[str, Any]


def load(declaration: Declaration) -> Loaded:
    """Find everything that is declared, and import it when all of it can be.

    :raises PluginError: the image is wrong, see :mod:`guestagent.plugins.errors`.
    """
    offers = installed()
    datastore = _choose_datastore(declaration, offers)
    chosen = {
        Group.BACKUP: _choose_all(offers, Group.BACKUP, declaration.backup_strategies),
        Group.ARCHIVE: _choose_all(offers, Group.ARCHIVE, declaration.archive_strategies),
        Group.REPLICATION: _choose_all(offers, Group.REPLICATION, declaration.replication_strategies),
        Group.STORAGE: _choose_all(offers, Group.STORAGE, declaration.storage_strategies),
        Group.MODULE: _choose_all(offers, Group.MODULE, declaration.modules),
    }
    _check_runtime([datastore, *(offer for group in chosen.values() for offer in group)])
    return Loaded(
        declaration=declaration,
        manager=_import_manager(declaration, datastore, offers),
        backup=_import_backup_strategies(chosen[Group.BACKUP], declaration.datastore),
        archive=_import_archive_strategies(chosen[Group.ARCHIVE], declaration.datastore),
        replication=_import_replication_strategies(chosen[Group.REPLICATION], declaration.datastore),
        storage=_import_all(chosen[Group.STORAGE], BaseStorage),  # type: ignore[type-abstract]
        modules=_import_all(chosen[Group.MODULE], ModuleDriver),  # type: ignore[type-abstract]
        description={
            "datastore": {**_describe(datastore), "name": declaration.datastore},
            "strategies": {
                group.name.lower(): [_describe(offer) for offer in found] for group, found in chosen.items()
            },
        },
    )


def load_one(group: Group, name: str, base: type[Base]) -> type[Base]:
    """Import one plugin, for a program that needs no other.

    :raises PluginError: it is not there, or wrong.
    """
    offer = _choose(installed(), group, name)
    _check_runtime([offer])
    return _import_class(offer, base)


def _choose(offers: Sequence[Offer], group: Group, name: str) -> Offer:
    found = [offer for offer in offers if offer.group is group and offer.name == name]
    if not found:
        raise NotInstalled(name=name, group=group, installed=names(offers, group))
    if len(found) > 1:
        raise OfferedTwice(name=name, group=group, offers=" and ".join(map(str, found)))
    return found[0]


def _choose_all(offers: Sequence[Offer], group: Group, declared: Sequence[str]) -> list[Offer]:
    return [_choose(offers, group, name) for name in declared]


def _choose_datastore(declaration: Declaration, offers: Sequence[Offer]) -> Offer:
    if declaration.legacy_class is None:
        return _choose(offers, Group.DATASTORE, declaration.datastore)
    from guestagent.plugins import legacy

    return legacy.choose(declaration.datastore, declaration.legacy_class, offers)


def _check_runtime(offers: Sequence[Offer]) -> None:
    version = metadata.version(RUNTIME)
    for offer in offers:
        if offer.package is None or offer.package.name == RUNTIME:
            continue
        requirement = unmet(offer.package.requirements, version)
        if requirement:
            raise OtherRuntime(
                name=offer.name, group=offer.group, offer=offer, requirement=requirement, version=version
            )


class _Driver(DriverManager):  # type: ignore[type-arg]
    """stevedore's import of one entry point, of the one that was chosen."""

    def __init__(self, offer: Offer) -> None:
        self._offer = offer
        super().__init__(offer.group, offer.name, on_load_failure_callback=self._fail)

    def list_entry_points(self) -> list[metadata.EntryPoint]:
        return [self._offer.entry_point]

    def _fail(self, _manager: object, _entry_point: metadata.EntryPoint, error: BaseException) -> None:
        raise error


def _import_class(offer: Offer, base: type[Base]) -> type[Base]:
    try:
        found: object = _Driver(offer).extensions[0].plugin
    except (Exception, SystemExit) as error:
        LOG.debug("Importing %s failed", offer, exc_info=True)
        problem = " ".join(str(error).split()) or "no reason given"
        raise ImportFailed(
            name=offer.name, group=offer.group, offer=offer, kind=type(error).__name__, problem=problem
        ) from error
    flaw = _flaw(found, base)
    if flaw:
        raise WrongClass(name=offer.name, group=offer.group, offer=offer, problem=flaw, base=base.__name__)
    return cast(type[Base], found)


def _flaw(found: object, base: type) -> str | None:
    if not isinstance(found, type) or not issubclass(found, base):
        return "is something else"
    missing = getattr(found, "__abstractmethods__", ())
    return f"lacks {', '.join(sorted(missing))}" if missing else None


def _import_manager(declaration: Declaration, offer: Offer, offers: Sequence[Offer]) -> type[BaseDatastoreManager]:
    try:
        return _import_class(offer, BaseDatastoreManager)
    except WrongClass as error:
        if declaration.legacy_class is None:
            raise
        raise LegacyRefused(
            class_path=declaration.legacy_class, name=declaration.datastore, installed=names(offers, Group.DATASTORE)
        ) from error


def _import_all(offers: Sequence[Offer], base: type[Base]) -> dict[str, type[Base]]:
    return {offer.name: _import_class(offer, base) for offer in offers}


def _import_backup_strategies(offers: Sequence[Offer], datastore: str) -> "dict[str, type[BaseBackupStrategy]]":
    if not offers:
        return {}
    from guestagent.backup.base import BaseBackupStrategy

    return _import_strategies(offers, BaseBackupStrategy, datastore)  # type: ignore[type-abstract]


def _import_archive_strategies(offers: Sequence[Offer], datastore: str) -> "dict[str, type[BaseArchiveStrategy]]":
    if not offers:
        return {}
    from guestagent.backup.archive import BaseArchiveStrategy

    return _import_strategies(offers, BaseArchiveStrategy, datastore)  # type: ignore[type-abstract]


def _import_replication_strategies(
    offers: Sequence[Offer], datastore: str
) -> "dict[str, type[BaseReplicationStrategy]]":
    if not offers:
        return {}
    from guestagent.replication.base import BaseReplicationStrategy

    return _import_strategies(offers, BaseReplicationStrategy, datastore)


def _import_strategies(offers: Sequence[Offer], base: type[Strategy], datastore: str) -> dict[str, type[Strategy]]:
    strategies = _import_all(offers, base)
    for offer in offers:
        fit = strategies[offer.name].datastores
        if datastore not in fit:
            raise UnfitStrategy(
                name=offer.name,
                group=offer.group,
                offer=offer,
                datastores=", ".join(sorted(fit)) or "no datastore at all",
                datastore=datastore,
            )
    return strategies


def _describe(offer: Offer) -> dict[str, str | None]:
    return {
        "name": offer.name,
        "distribution": offer.package.name if offer.package else None,
        "version": offer.package.version if offer.package else None,
        "class": offer.class_path,
    }
