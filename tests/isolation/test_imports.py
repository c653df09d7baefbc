"""What a running agent has imported: the declared plugin, and of the costly libraries only what it needs."""

import secrets
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from guestagent.conformance.agent import AgentProcess
from guestagent.conformance.wire import Wire
from tests.conftest import MakeAgent
from tests.support import mariadb, sleeper

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
    return set(Path(agent.environment["WITNESSED"]).read_text().split())


def of(package: str, modules: set[str]) -> set[str]:
    return {name for name in modules if name == package or name.startswith(f"{package}.")}


@pytest.fixture
def image_agent(boot: Boot, image_python: Path, guests_dir: Path) -> AgentProcess:
    """An agent of the image with MariaDB, before prepare."""
    (guests_dir / "database").mkdir()
    return boot(mariadb.DATASTORE, python=image_python, options=mariadb.options(guests_dir / "database"))


def test_the_agent_of_an_image_answers_and_says_what_it_holds(image_agent: AgentProcess, wire: Wire):
    document = wire.call(image_agent.guest_id, "describe", namespace="guestagent")

    assert document["datastore"]["name"] == "mariadb"
    assert wire.call(image_agent.guest_id, "get_hwinfo")


def test_an_agent_before_prepare_has_imported_no_client_library_and_no_cipher(image_agent: AgentProcess):
    modules = imported_by(image_agent)

    assert of("guestagent_mariadb", modules)
    for unneeded in ("eventlet", "pymysql", "cryptography", "zstandard", "distutils", "pkg_resources"):
        assert of(unneeded, modules) == set()
    assert len(modules) <= MOST_MODULES


def test_an_agent_with_a_key_imports_what_decrypts_and_no_client_library(
    boot: Boot, image_python: Path, guests_dir: Path
):
    (guests_dir / "database").mkdir()
    options = mariadb.options(guests_dir / "database")

    modules = imported_by(boot(mariadb.DATASTORE, python=image_python, options=options, key=secrets.token_hex(16)))

    assert "guestagent.system.aes" in modules
    for unneeded in ("cryptography", "pymysql"):
        assert of(unneeded, modules) == set()


@pytest.mark.parametrize(
    ("declared", "other"),
    [("guestagent_sleeper", "guestagent_mariadb"), ("guestagent_mariadb", "guestagent_sleeper")],
)
def test_an_agent_imports_the_declared_plugin_where_several_are_installed(
    boot: Boot, guests_dir: Path, declared: str, other: str
):
    (guests_dir / "database").mkdir()
    options = mariadb.options(guests_dir / "database") if declared == "guestagent_mariadb" else {}
    datastore = mariadb.DATASTORE if options else sleeper.DATASTORE

    modules = imported_by(boot(datastore, python=sys.executable, options=options))

    assert of(declared, modules)
    assert of(other, modules) == set()
