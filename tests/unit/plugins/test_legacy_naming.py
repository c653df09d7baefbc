"""``datastore_registry_ext``: read when the image is silent, and never otherwise."""

import pytest

from tests.unit.plugins.packages import GUEST_INFO, MANAGER, Site, loaded, refused


def registering(value: str) -> dict[str, str]:
    return {**GUEST_INFO, "datastore_registry_ext": value}


@pytest.fixture
def legacy(site: Site) -> Site:
    source = site.poisoned("legacy") + MANAGER + "class Stranger: pass\n"
    site.install("old-alpha", {"legacy": source}, {}, version="0.9")
    return site


@pytest.mark.parametrize("path", ["legacy.Manager", "legacy:Manager"])
def test_a_manager_that_only_the_registry_names_is_loaded_with_a_warning(legacy: Site, path: str) -> None:
    process = legacy.load({}, registering(f"alpha:{path},beta:nowhere.Manager"))

    found = loaded(process)
    assert (found["datastore"], found["manager"]) == ("alpha", "Manager")
    assert found["description"]["datastore"]["class"] == "legacy:Manager"
    assert "[image] datastore = alpha" in process.stderr
    assert "'alpha = legacy:Manager' in the group guestagent.datastore" in process.stderr


def test_the_class_of_an_installed_plugin_is_known_by_its_name(alpha: Site) -> None:
    process = alpha.load({}, registering("alpha:alpha.Manager"))

    assert loaded(process)["description"]["datastore"]["distribution"] == "guest-alpha"
    assert "[image] datastore = alpha" in process.stderr


def test_a_class_that_is_no_manager_is_refused(legacy: Site) -> None:
    refused(legacy.load({}, registering("alpha:legacy.Stranger")), 74, "legacy.Stranger", "[image] datastore")


def test_a_class_that_cannot_be_imported(legacy: Site) -> None:
    refused(legacy.load({}, registering("alpha:legacy.Missing")), 68, "legacy:Missing", "AttributeError")


@pytest.mark.parametrize(
    "registry", ["alpha:trove.guestagent.datastore.alpha.manager.Manager", "beta:legacy.Manager", "alpha:", "rubbish"]
)
def test_a_registry_that_says_nothing_about_this_machine(legacy: Site, registry: str) -> None:
    """The control plane's own class is not installed here: what is wrong is that the image is silent."""
    legacy.install("guest-gamma", {}, {"guestagent.datastore": {"gamma": "gamma:Manager"}})

    refused(legacy.load({}, registering(registry)), 65, "[image] datastore", "gamma")

    assert not legacy.mark("legacy").exists()


def test_an_image_that_declares_its_datastore_has_its_way(legacy: Site) -> None:
    legacy.install("guest-alpha", {"alpha": MANAGER}, {"guestagent.datastore": {"alpha": "alpha:Manager"}})

    process = legacy.load({"datastore": "alpha"}, registering("alpha:legacy.Manager"))

    assert loaded(process)["description"]["datastore"]["class"] == "alpha:Manager"
    assert not legacy.mark("legacy").exists()
    assert "registry" not in process.stderr
