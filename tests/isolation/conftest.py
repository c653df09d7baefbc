"""The distributions as they are installed, not as they lie in the tree."""

from pathlib import Path

import pytest

from tests.support.environments import build_wheel, environment


@pytest.fixture(scope="session")
def runtime_wheel() -> Path:
    """The wheel of the runtime."""
    return build_wheel(".")


@pytest.fixture(scope="session")
def mariadb_wheel() -> Path:
    """The wheel of MariaDB's plugin."""
    return build_wheel("datastores/mariadb")


@pytest.fixture(scope="session")
def image_python(runtime_wheel: Path, mariadb_wheel: Path) -> Path:
    """The interpreter of a fresh environment with the runtime and MariaDB's plugin: an image's."""
    return environment("image-mariadb", [str(runtime_wheel), str(mariadb_wheel)])
