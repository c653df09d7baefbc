"""What the tests of the plugins room share."""

from pathlib import Path

import pytest

from tests.unit.plugins.packages import MANAGER, Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A place to install distributions in; nothing is there yet."""
    return Site(tmp_path)


@pytest.fixture
def alpha(site: Site) -> Site:
    """The same with the datastore ``alpha``."""
    site.install("guest-alpha", {"alpha": MANAGER}, {"guestagent.datastore": {"alpha": "alpha:Manager"}})
    return site
