"""What a plugin claims to support, read from its class, and which tests are about it."""

from collections.abc import Iterable

import pytest

from guestagent import contract
from guestagent.conformance.datastore import Datastore, is_given
from guestagent.contract import Call
from guestagent.manager import BaseDatastoreManager
from guestagent.plugins.errors import PluginError
from guestagent.plugins.installed import Group
from guestagent.plugins.loader import load_one

claims = pytest.mark.claims
"""The test is about these calls of the contract, and only for plugins that support all of them."""
given = pytest.mark.given
"""The test needs these parts of the author's description."""


def claimed_by(datastore: type[Datastore]) -> set[str]:
    """The names of the calls that the plugin supports on an image as it is described.

    :raises pytest.UsageError: the plugin is not installed, or cannot be imported.
    """
    try:
        manager = load_one(Group.DATASTORE, datastore.name, BaseDatastoreManager)
    except PluginError as error:
        raise pytest.UsageError(str(error)) from error
    supported = {declared.name for declared in contract.CALLS if declared.supported_by(manager)}
    # The one call that needs more of an image than the plugin.
    return supported if datastore.backup_strategy else supported - {"create_backup"}


def is_meant(item: pytest.Item, datastore: type[Datastore], claimed: set[str]) -> bool:
    """Whether a test has something to try on a plugin.

    A test with a parameter ``claimed`` or ``unclaimed`` is only for such calls.
    """
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    if "claimed" in parameters and not _all_of([parameters["claimed"]], claimed):
        return False
    if "unclaimed" in parameters and _all_of([parameters["unclaimed"]], claimed):
        return False
    calls = [name for mark in item.iter_markers("claims") for name in mark.args]
    parts = [name for mark in item.iter_markers("given") for name in mark.args]
    return claimed.issuperset(calls) and all(is_given(datastore, part) for part in parts)


def _all_of(calls: Iterable[Call], claimed: set[str]) -> bool:
    return all(call.name in claimed for call in calls)
