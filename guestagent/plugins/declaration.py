"""What the image and the control plane declare, read from the options and checked against each other."""

from typing import Self

import msgspec
from oslo_config import cfg

from guestagent.plugins.errors import NoGuestId, NothingDeclared, OtherDatastore
from guestagent.plugins.installed import Group, installed, names


class Declaration(msgspec.Struct, frozen=True):
    """The names that are loaded, and none but them.

    :ivar guest_id: the instance's id.
    :ivar datastore: the name of the one datastore.
    :ivar backup_strategies: names in the image's order; likewise the others.
    :ivar legacy_class: where the manager is, for an image that declares nothing and is only named by
        the control plane's ``datastore_registry_ext``.
    """

    guest_id: str
    datastore: str
    backup_strategies: tuple[str, ...] = ()
    archive_strategies: tuple[str, ...] = ()
    replication_strategies: tuple[str, ...] = ()
    storage_strategies: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    legacy_class: str | None = None

    @classmethod
    def read(cls, conf: cfg.ConfigOpts) -> Self:
        """Read ``[image]`` and what was injected.

        Trove injects ``datastore_registry_ext`` into every guest, with classes of its own; so it is
        only looked at when the image itself says nothing.

        :raises NoGuestId: the instance was not told its id.
        :raises NothingDeclared: neither the image nor the registry names a datastore.
        :raises OtherDatastore: the injected ``datastore_manager`` is not the declared one.
        """
        if not conf.guest_id:
            raise NoGuestId
        expected, datastore, legacy_class = conf.datastore_manager, conf.image.datastore, None
        if not datastore:
            datastore, legacy_class = expected, _registered(conf, expected)
            if not legacy_class:
                raise NothingDeclared(installed=names(installed(), Group.DATASTORE))
        if expected and expected != datastore:
            raise OtherDatastore(expected=expected, declared=datastore)
        return cls(
            guest_id=conf.guest_id,
            datastore=datastore,
            backup_strategies=_once(conf.image.backup_strategies),
            archive_strategies=_once(conf.image.archive_strategies),
            replication_strategies=_once(conf.image.replication_strategies),
            storage_strategies=_once(conf.image.storage_strategies),
            modules=_once(conf.image.modules),
            legacy_class=legacy_class,
        )


def _registered(conf: cfg.ConfigOpts, manager: str | None) -> str | None:
    """The class that the registry names for a manager; a registry that cannot be read names none."""
    try:
        found: str | None = conf.datastore_registry_ext.get(manager)
    except cfg.ConfigFileValueError:
        return None
    return found


def _once(declared: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(declared))
