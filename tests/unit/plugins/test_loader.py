"""Real distributions, found by real interpreters: what is loaded, and what an image is refused for."""

import pytest

from guestagent.plugins import errors
from tests.unit.plugins.packages import GUEST_INFO, MANAGER, Site, loaded, refused

DECLARED = {"datastore": "alpha"}

STRATEGIES = """
from guestagent.backup.archive import BaseArchiveStrategy
from guestagent.backup.base import BaseBackupStrategy
from guestagent.replication.base import BaseReplicationStrategy

class Complete(BaseBackupStrategy):
    def backup(self, parent): ...
    def restore(self, stages, target): ...

class Dump(Complete):
    datastores = frozenset({"alpha", "beta"})

class Copy(Complete):
    datastores = frozenset({"alpha"})

class Ledgers(BaseArchiveStrategy):
    datastores = frozenset({"beta", "gamma"})
    begins_in = check = close = closed = has = release = replay = spelled = lambda self, *given: None

class Follow(BaseReplicationStrategy):
    datastores = frozenset({"beta", "gamma"})
"""


@pytest.fixture
def strategies(alpha: Site) -> Site:
    alpha.install(
        "guest-strategies",
        {"strategies": STRATEGIES},
        {
            "guestagent.backup": {"dump": "strategies:Dump", "copy": "strategies:Copy"},
            "guestagent.archive": {"ledgers": "strategies:Ledgers"},
            "guestagent.replication": {"follow": "strategies:Follow"},
        },
        version="2.5",
    )
    return alpha


def test_what_is_declared_is_loaded_in_the_order_of_the_image(strategies: Site) -> None:
    image = {**DECLARED, "backup_strategies": "dump,copy,dump", "storage_strategies": "local", "modules": "ping"}

    found = loaded(strategies.load(image))

    assert found["manager"] == "Manager"
    assert found["datastore"] == "alpha"
    assert list(found["classes"]["backup"].items()) == [("dump", "Dump"), ("copy", "Copy")]
    assert found["classes"]["storage"] == {"local": "LocalStorage"}
    assert found["classes"]["modules"] == {"ping": "PingDriver"}


def test_the_description_says_where_everything_came_from(strategies: Site) -> None:
    found = loaded(strategies.load({**DECLARED, "backup_strategies": "copy"}))

    assert found["description"] == {
        "datastore": {"name": "alpha", "distribution": "guest-alpha", "version": "1.0", "class": "alpha:Manager"},
        "strategies": {
            "backup": [
                {
                    "name": "copy",
                    "distribution": "guest-strategies",
                    "version": "2.5",
                    "class": "strategies:Copy",
                }
            ],
            "archive": [],
            "replication": [],
            "storage": [],
            "module": [],
        },
    }


@pytest.fixture
def poisoned(alpha: Site) -> Site:
    alpha.install(
        "guest-poisoned",
        {"poisoned": alpha.poisoned("poisoned") + MANAGER},
        {"guestagent.datastore": {"poisoned": "poisoned:Manager"}, "guestagent.backup": {"any": "poisoned:Manager"}},
    )
    return alpha


def test_what_is_not_declared_is_not_imported(poisoned: Site) -> None:
    loaded(poisoned.load(DECLARED))

    assert not poisoned.mark("poisoned").exists()


def test_the_poison_of_the_test_above_works(poisoned: Site) -> None:
    loaded(poisoned.load({"datastore": "poisoned"}, {**GUEST_INFO, "datastore_manager": "poisoned"}))

    assert poisoned.mark("poisoned").exists()


def test_an_image_that_declares_nothing(alpha: Site) -> None:
    refused(alpha.load({}), 65, "[image] datastore", "alpha")


@pytest.mark.parametrize(
    ("declared", "group"),
    [
        ({"datastore": "beta"}, "guestagent.datastore"),
        ({**DECLARED, "backup_strategies": "beta"}, "guestagent.backup"),
        ({**DECLARED, "replication_strategies": "beta"}, "guestagent.replication"),
        ({**DECLARED, "storage_strategies": "beta"}, "guestagent.storage"),
        ({**DECLARED, "modules": "beta"}, "guestagent.module"),
    ],
)
def test_a_declared_plugin_that_is_not_installed(poisoned: Site, declared: dict[str, str], group: str) -> None:
    expected = {**GUEST_INFO, "datastore_manager": declared["datastore"]}

    refused(poisoned.load(declared, expected), 66, "'beta'", group)


def test_what_is_installed_is_named_when_something_is_not(poisoned: Site) -> None:
    refused(poisoned.load({**DECLARED, "storage_strategies": "beta"}), 66, "local")


@pytest.mark.parametrize("value", ["alpha:Manager", "twin:Manager"], ids=["equal", "different"])
def test_two_distributions_that_offer_one_name(alpha: Site, value: str) -> None:
    """Also when stevedore's cache, which keeps one of two equal entry points, is warm."""
    (alpha.directory / "alpha.py").write_text(alpha.poisoned("alpha") + MANAGER)
    alpha.install("guest-twin", {"twin": alpha.poisoned("twin")}, {"guestagent.datastore": {"alpha": value}})
    alpha.run("-c", "import stevedore; stevedore.NamedExtensionManager('guestagent.datastore', [])")

    refused(alpha.load(DECLARED), 67, "guest-alpha 1.0", "guest-twin 1.0", value)

    assert not alpha.mark("alpha").exists()
    assert not alpha.mark("twin").exists()


def test_two_distributions_that_offer_a_name_which_nobody_declares(strategies: Site) -> None:
    strategies.install("guest-twin", {}, {"guestagent.backup": {"dump": "nowhere:Dump"}})

    assert loaded(strategies.load({**DECLARED, "backup_strategies": "copy"}))


@pytest.mark.parametrize(
    ("source", "kind", "words"),
    [
        ("import nowhere_to_be_found", "ModuleNotFoundError", "nowhere_to_be_found"),
        ("raise RuntimeError('first line\\nsecond line')", "RuntimeError", "first line second line"),
        ("assert False, 'never'", "AssertionError", "never"),
        ("raise SystemExit(0)", "SystemExit", "0"),
        ("this is no Python", "SyntaxError", "invalid syntax"),
        ("", "AttributeError", "Manager"),
    ],
)
def test_a_plugin_whose_import_raises(site: Site, source: str, kind: str, words: str) -> None:
    site.install("guest-alpha", {"alpha": source}, {"guestagent.datastore": {"alpha": "alpha:Manager"}})

    refused(site.load(DECLARED), 68, "guest-alpha 1.0", kind, words)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("Manager = 7", "is something else"),
        ("class Manager: pass", "is something else"),
        ("def Manager(guest): pass", "is something else"),
        (
            "import abc\nfrom guestagent.manager import BaseDatastoreManager\n"
            "class Manager(BaseDatastoreManager, abc.ABC):\n"
            "    @abc.abstractmethod\n"
            "    def answers(self): ...\n",
            "lacks answers",
        ),
    ],
)
def test_an_entry_point_that_leads_to_no_usable_class(site: Site, source: str, words: str) -> None:
    site.install("guest-alpha", {"alpha": source}, {"guestagent.datastore": {"alpha": "alpha:Manager"}})

    refused(site.load(DECLARED), 69, "guest-alpha 1.0", words, "BaseDatastoreManager")


@pytest.mark.parametrize(
    "option", ["backup_strategies", "archive_strategies", "replication_strategies", "storage_strategies", "modules"]
)
def test_a_manager_is_no_strategy(alpha: Site, option: str) -> None:
    kinds = ("backup", "archive", "replication", "storage", "module")
    groups = [f"guestagent.{kind}" for kind in kinds]
    alpha.install("guest-confused", {}, {group: {"confused": "alpha:Manager"} for group in groups})

    refused(alpha.load({**DECLARED, option: "confused"}), 69, "'confused'", "is something else")


def test_a_control_plane_that_expects_another_datastore(alpha: Site) -> None:
    refused(alpha.load(DECLARED, {**GUEST_INFO, "datastore_manager": "beta"}), 70, "'beta'", "'alpha'")


def test_a_control_plane_that_expects_nothing_in_particular(alpha: Site) -> None:
    assert loaded(alpha.load(DECLARED, {"guest_id": "1"}))


@pytest.mark.parametrize("injected", [{}, {"guest_id": ""}])
def test_an_instance_without_an_id(alpha: Site, injected: dict[str, str]) -> None:
    refused(alpha.load(DECLARED, {"datastore_manager": "alpha", **injected}), 71, "guest_id", "guest_info.conf")


@pytest.mark.parametrize(
    "requirement", ["guestagent>=99", "guestagent (>=99.1)", "GuestAgent<99,>=98.0rc1", "guestagent[all]~=99.0"]
)
def test_a_plugin_that_was_written_for_a_newer_runtime_is_not_even_imported(site: Site, requirement: str) -> None:
    site.install(
        "guest-alpha",
        {"alpha": site.poisoned("alpha") + "from guestagent.manager import WhatWillBe"},
        {"guestagent.datastore": {"alpha": "alpha:Manager"}},
        requires=["msgspec", requirement],
    )

    refused(site.load(DECLARED), 72, "guest-alpha 1.0", requirement, "this is guestagent 0.")

    assert not site.mark("alpha").exists()


@pytest.mark.parametrize(
    ("option", "name", "fits"),
    [
        ("backup_strategies", "dump", "alpha, beta"),
        ("archive_strategies", "ledgers", "beta, gamma"),
        ("replication_strategies", "follow", "beta, gamma"),
    ],
)
def test_a_strategy_for_other_datastores(strategies: Site, option: str, name: str, fits: str) -> None:
    strategies.install("guest-delta", {"delta": MANAGER}, {"guestagent.datastore": {"delta": "delta:Manager"}})
    image = {"datastore": "delta", option: name}

    refused(strategies.load(image, {**GUEST_INFO, "datastore_manager": "delta"}), 73, f"'{name}'", fits, "'delta'")


def test_every_error_has_an_exit_code_and_an_id_of_its_own() -> None:
    kinds = errors.PluginError.__subclasses__()

    assert len(kinds) == 10
    assert sorted(kind.exit_code for kind in kinds) == list(range(65, 75))
    assert len({kind.id for kind in kinds}) == len(kinds)
    for kind in kinds:
        assert f"{kind.exit_code}   {kind.__name__} " in (errors.__doc__ or "")
