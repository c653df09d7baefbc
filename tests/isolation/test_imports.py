"""What a running agent has imported: the declared plugin, and of the costly libraries only what it needs."""

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from guestagent.conformance.agent import AgentProcess
from guestagent.conformance.conductor import Conductor
from guestagent.conformance.wire import Wire
from tests.conftest import MakeAgent
from tests.support import sleeper
from tests.support.family import Family, families

# Python runs a module of this name at its start. What ends as the agent does has imported all that it ever did.
WITNESS = """
import atexit, os, sys

@atexit.register
def write_down():
    with open(os.environ["WITNESSED"], "w") as file:
        file.writelines(name + "\\n" for name, module in sys.modules.items() if module is not None)
"""
MOST_MODULES = 650

Boot = Callable[..., AgentProcess]


@pytest.fixture
def boot(make_agent: MakeAgent, wire: Wire, guests_dir: Path) -> Boot:
    """Starts an agent that writes down what it has imported when it ends."""
    (guests_dir / "witness").mkdir()
    (guests_dir / "witness" / "sitecustomize.py").write_text(WITNESS)
    environment = {"PYTHONPATH": str(guests_dir / "witness"), "WITNESSED": str(guests_dir / "witnessed")}

    def boot(datastore: str, **how: object) -> AgentProcess:
        agent = make_agent(datastore, environment=environment, **how)
        agent.boot(wire)
        return agent

    return boot


def imported_by(agent: AgentProcess) -> set[str]:
    """The modules that an agent has imported when it ends."""
    assert agent.terminate() == 0
    # The witness is ours.
    return set(Path(agent.environment["WITNESSED"]).read_text().split()) - {"sitecustomize"}


def of(package: str, modules: set[str]) -> set[str]:
    return {name for name in modules if name == package or name.startswith(f"{package}.")}


@pytest.fixture
def image_agent(boot: Boot, image_python: Path, guests_dir: Path, family: Family) -> AgentProcess:
    """An agent of the family's image, before prepare."""
    (guests_dir / "database").mkdir()
    return boot(family.datastore, python=image_python, options=family.options(guests_dir / "database"))


def test_an_agent_before_prepare_has_imported_no_client_library_and_no_cipher(
    image_agent: AgentProcess, family: Family
):
    modules = imported_by(image_agent)

    assert of(family.package, modules)
    for unneeded in ("eventlet", *family.client, "cryptography", "zstandard", "distutils", "pkg_resources"):
        assert of(unneeded, modules) == set()
    assert len(modules) <= MOST_MODULES


def test_an_agent_that_was_driven_has_imported_nothing_of_another_family(
    image_agent: AgentProcess, wire: Wire, conductor: Conductor, family: Family
):
    document = wire.call(image_agent.guest_id, "describe", namespace="guestagent")
    assert document["datastore"]["name"] == family.datastore
    assert wire.call(image_agent.guest_id, "get_hwinfo")
    arguments = {"packages": "", "databases": None, "memory_mb": 512, "users": None, "ds_version": None}
    wire.cast(image_agent.guest_id, "prepare", arguments, version="1.1")
    conductor.wait_for_status(image_agent.guest_id, "healthy", timeout=90)
    for call, given in (("list_users", {}), ("enable_root", {}), ("restart", {}), ("get_filesystem_stats", {})):
        wire.call(image_agent.guest_id, call, given, timeout=90)
    wire.call(image_agent.guest_id, "stop_db", {}, version="1.1", timeout=90)

    modules = imported_by(image_agent)

    assert of(family.client[0], modules)
    for other in families():
        if other is not family:
            for name in (other.package, *other.client):
                assert of(name, modules) == set()


def test_an_agent_with_a_key_imports_what_decrypts_and_no_client_library(
    boot: Boot, image_python: Path, guests_dir: Path, family: Family
):
    (guests_dir / "database").mkdir()
    options = family.options(guests_dir / "database")

    modules = imported_by(boot(family.datastore, python=image_python, options=options, key=secrets.token_hex(16)))

    assert "guestagent.system.aes" in modules
    for unneeded in ("cryptography", *family.client):
        assert of(unneeded, modules) == set()


def test_an_agent_imports_the_declared_plugin_where_several_are_installed(boot: Boot, guests_dir: Path, family: Family):
    (guests_dir / "database").mkdir()

    modules = imported_by(boot(family.datastore, options=family.options(guests_dir / "database")))

    assert of(family.package, modules)
    for other in ("guestagent_sleeper", *(one.package for one in families() if one is not family)):
        assert of(other, modules) == set()


def test_so_does_an_agent_of_no_family(boot: Boot):
    modules = imported_by(boot(sleeper.DATASTORE))

    assert of("guestagent_sleeper", modules)
    for other in families():
        assert of(other.package, modules) == set()
