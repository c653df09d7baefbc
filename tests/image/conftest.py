"""Images of the tests' own, built from this tree, and what their guests need around them."""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from guestagent_image import building, disk, wheelhouse

from guestagent.conformance.conductor import Conductor
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire
from tests.image import other_python
from tests.image.budgets import Budgets
from tests.image.builds import ALL, MARIADB, Build
from tests.image.machine import BUILD_PROGRAMS, build_environment, require
from tests.support.environments import CONSTRAINTS, ROOT
from tests.support.swift import Swift

BUILD_SECONDS = 1200


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--images", default=str(MARIADB), help="those whose names hold this text; empty: all of them")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "build" in metafunc.fixturenames:
        wanted = metafunc.config.getoption("--images")
        builds = [build for build in ALL if wanted in str(build)]
        metafunc.parametrize("build", builds, ids=str, scope="session", indirect=True)


MEASURED = pytest.StashKey[Budgets]()


@pytest.fixture(scope="session")
def budgets(pytestconfig: pytest.Config) -> Budgets:
    """What was measured beside what it may be; printed at the end."""
    return pytestconfig.stash.setdefault(MEASURED, Budgets())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if measured := terminalreporter.config.stash.get(MEASURED, None):
        terminalreporter.section("what the images cost")
        terminalreporter.write_line(str(measured))


@pytest.fixture(scope="session")
def build(request: pytest.FixtureRequest) -> Build:
    """One after the other."""
    found: Build = request.param
    return found


@pytest.fixture(scope="session")
def image(build: Build, tmp_path_factory: pytest.TempPathFactory, budgets: Budgets) -> Path:
    """The image as a builder makes it; the one in the directory TEST_IMAGES, where it is there."""
    require("build the image", *BUILD_PROGRAMS)
    if (given := os.environ.get("TEST_IMAGES")) and (kept := Path(given, f"{build}.{build.form}")).exists():
        return kept
    directory = tmp_path_factory.mktemp("image")
    image = directory / f"{build}.{build.form}"
    began = time.monotonic()
    if building.PYTHONS[build.release] == wheelhouse.OWN_PYTHON:
        chosen = [*build.selection, f"--source={ROOT}", f"--constraint={CONSTRAINTS}"]
    else:
        (directory / "wheels").mkdir()
        other_python.wheelhouse(build.release, build.selection, directory / "wheels", directory / "release")
        chosen = [f"--wheelhouse={directory / 'wheels'}"]
    argv = [sys.executable, "-m", "guestagent_image", "build", *chosen, *build.options, f"--output={image}"]
    done = subprocess.run(
        argv, env=build_environment(), capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr[-5000:]
    budgets.measured(build, "build", time.monotonic() - began)
    return image


@pytest.fixture(scope="session")
def files(image: Path) -> Iterator[Path]:
    """The image's files, mounted from that very image."""
    with disk.mounted(image) as root:
        yield root


@pytest.fixture(scope="session")
def image_exchange() -> str:
    """A control exchange for all guests of the image."""
    return f"trove-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def control(rabbit: Rabbit, image_exchange: str) -> Iterator[tuple[Wire, Conductor]]:
    """The control plane."""
    rabbit.start()
    with Wire(rabbit, image_exchange) as wire, Conductor(rabbit, image_exchange) as conductor:
        yield wire, conductor


@pytest.fixture(scope="session")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swift]:
    """The store of backups, outside of every guest."""
    with Swift(tmp_path_factory.mktemp("swift")) as made:
        yield made
