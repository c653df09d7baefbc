"""Each family is tried on an agent of its own image: a fresh environment, which nothing of another family is in."""

import os
from collections.abc import Iterator

import pytest

from guestagent.conformance.datastore import Datastore
from tests.support.family import family_of
from tests.support.redis import MISSING

collect_ignore = [f"test_{name}.py" for name in MISSING]


@pytest.fixture(scope="module", autouse=True)
def image(request: pytest.FixtureRequest) -> Iterator[None]:
    """The kit's agents are those of the family's image, unless somebody has named others."""
    datastore: type[Datastore] = request.module.DATASTORE
    with pytest.MonkeyPatch.context() as patch:
        if "GUESTAGENT_PYTHON" not in os.environ:
            patch.setenv("GUESTAGENT_PYTHON", str(family_of(datastore.name).image()))
        yield
