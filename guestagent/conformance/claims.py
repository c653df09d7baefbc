"""What a plugin claims to support, read from its class, and which tests are about it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

import pytest

from guestagent import contract
from guestagent.conformance.datastore import Datastore, is_given
from guestagent.manager import BaseDatastoreManager
from guestagent.plugins.errors import PluginError
from guestagent.plugins.installed import Group
from guestagent.plugins.loader import load_one

CLAIMS, GIVEN = "conformance_claims", "conformance_given"


class Meant(Protocol):
    """A parameter of a test that is, as a test can be, about some calls and in need of some parts.

    :ivar claims: see :func:`claims`.
    :ivar given: see :func:`given`.
    """

    @property
    def claims(self) -> Sequence[str]: ...

    @property
    def given(self) -> Sequence[str]: ...


Test = TypeVar("Test", bound=Callable[..., object])


def claims(*calls: str) -> Callable[[Test], Test]:
    """The test, or all of a class, is about these calls of the contract, and for plugins that support all of them."""
    # Not pytest's marks: a file of tests is imported before the kit can make marks known.
    return _noted(CLAIMS, calls)


def given(*parts: str) -> Callable[[Test], Test]:
    """The test, or each of a class, needs these parts of the author's description."""
    return _noted(GIVEN, parts)


def _noted(name: str, values: tuple[str, ...]) -> Callable[[Test], Test]:
    def note(test: Test) -> Test:
        setattr(test, name, values)
        return test

    return note


def claimed_by(datastore: type[Datastore]) -> set[str]:
    """The names of the calls that the plugin supports on an image as it is described.

    :raises pytest.UsageError: the plugin is not installed, or cannot be imported.
    """
    try:
        manager = load_one(Group.DATASTORE, datastore.name, BaseDatastoreManager)
    except PluginError as error:
        raise pytest.UsageError(str(error)) from error
    supported = {declared.name for declared in contract.CALLS if declared.supported_by(manager)}
    # The calls that need more of an image than the plugin.
    if datastore.archive_strategy is None:
        supported -= {"archive_logs", "recovery_window"}
    return supported if datastore.backup_strategy else supported - {"create_backup"}


def is_meant(item: pytest.Item, datastore: type[Datastore], claimed: set[str]) -> bool:
    """Whether a test has something to try on a plugin.

    A test with a parameter ``claimed`` or ``unclaimed``, the name of a call, is only for such calls; one with a
    parameter ``meant``, a :class:`Meant`, for what that is for.
    """
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    if "unclaimed" in parameters and parameters["unclaimed"] in claimed:
        return False
    wanted = {*_notes(item, CLAIMS), *(value for name, value in parameters.items() if name == "claimed")}
    parts = {*_notes(item, GIVEN)}
    if "meant" in parameters:
        meant: Meant = parameters["meant"]
        wanted.update(meant.claims)
        parts.update(meant.given)
    return claimed.issuperset(wanted) and all(is_given(datastore, part) for part in parts)


def _notes(item: pytest.Item, name: str) -> Iterator[str]:
    """What was noted of a test and of the classes that it is in."""
    for node in item.listchain():
        yield from getattr(getattr(node, "obj", None), name, ())
