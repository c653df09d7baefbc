"""The old way of naming a manager: a dictionary of class paths that the control plane injects."""

from collections.abc import Sequence
from importlib.metadata import EntryPoint
from importlib.util import find_spec

from oslo_log import log

from guestagent.plugins.errors import NothingDeclared
from guestagent.plugins.installed import Group, Offer, names

LOG = log.getLogger(__name__)


def choose(name: str, legacy_class: str, offers: Sequence[Offer]) -> Offer:
    """What the registry names for a datastore, and a warning that says what to write instead.

    :param name: the injected ``datastore_manager``.
    :param legacy_class: the class, ``package.module.Class`` or ``package.module:Class``.
    :returns: the installed plugin that has the class, or an offer without a distribution.
    :raises NothingDeclared: the path leads into a package that this machine does not have, as the
        control plane's own does: it is the image that is silent.
    """
    module, _, attribute = legacy_class.replace(":", ".").rpartition(".")
    class_path = f"{module}:{attribute}"
    for offer in offers:
        if offer.group is Group.DATASTORE and offer.class_path == class_path:
            LOG.warning(
                "datastore_registry_ext is obsolete; write in /etc/guestagent/image.conf instead: "
                "[image] datastore = %s, and let the control plane call the datastore_manager '%s'",
                offer.name,
                offer.name,
            )
            return offer
    if not module or find_spec(module.partition(".")[0]) is None:
        raise NothingDeclared(installed=names(offers, Group.DATASTORE))
    LOG.warning(
        "datastore_registry_ext is obsolete; write in /etc/guestagent/image.conf instead: [image] datastore = %s, "
        "and give the package of the class the entry point '%s = %s' in the group %s",
        name,
        name,
        class_path,
        Group.DATASTORE,
    )
    return Offer(Group.DATASTORE, EntryPoint(name, class_path, Group.DATASTORE))
