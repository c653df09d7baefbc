"""The distributions as they are installed, not as they lie in the tree: an image for each family of databases."""

from pathlib import Path

import pytest

from tests.support.environments import build_wheel
from tests.support.family import Family, families


@pytest.fixture(scope="session")
def runtime_wheel() -> Path:
    """The wheel of the runtime."""
    return build_wheel(".")


@pytest.fixture(scope="session", params=families(), ids=lambda family: family.datastore)
def family(request: pytest.FixtureRequest) -> Family:
    """One family after the other."""
    found: Family = request.param
    return found


@pytest.fixture(scope="session")
def datastore_wheel(family: Family) -> Path:
    """The wheel of the family's datastore."""
    return build_wheel(family.folder)


@pytest.fixture(scope="session")
def image_python(family: Family) -> Path:
    """The interpreter of a fresh environment with the runtime and what belongs to the family: an image's."""
    return family.image()
