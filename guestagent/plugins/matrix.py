"""What the installed datastores support, call by call; it imports them all, so it is for authors and not for agents."""

import msgspec

from guestagent import contract
from guestagent.contract.call import Call
from guestagent.manager import BaseDatastoreManager
from guestagent.plugins.installed import Group, installed
from guestagent.plugins.loader import load_one
from guestagent.plugins.maturity import Maturity


class Column(msgspec.Struct, frozen=True):
    """One datastore.

    :ivar version: of its distribution.
    :ivar supported: the calls that its class overrides; strategies may be needed for what they do.
    :ivar maturity: what its distribution declares.
    """

    name: str
    distribution: str | None
    version: str | None
    supported: frozenset[Call]
    maturity: Maturity


def columns() -> list[Column]:
    """The installed datastores, sorted by name.

    :raises PluginError: one of them cannot be imported, or is offered twice.
    """
    found = []
    for offer in sorted(installed(), key=lambda offer: offer.name):
        if offer.group is Group.DATASTORE:
            manager = load_one(Group.DATASTORE, offer.name, BaseDatastoreManager)
            supported = frozenset(declared for declared in contract.CALLS if declared.supported_by(manager))
            package = offer.package
            found.append(
                Column(
                    name=offer.name,
                    distribution=package.name if package else None,
                    version=package.version if package else None,
                    supported=supported,
                    maturity=Maturity.of(package.classifiers if package else []),
                )
            )
    return found
