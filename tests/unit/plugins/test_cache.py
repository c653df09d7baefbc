"""Where stevedore, asked by the oslo libraries, keeps its cache; in interpreters with odd accounts."""

from pathlib import Path

import pytest

from tests.unit.plugins.packages import Site

USE = """
import pathlib, sys
from guestagent.plugins import cache
cache.use(pathlib.Path(sys.argv[1]))
"""

LOOK = """
import stevedore._cache
print(stevedore._cache._get_cache_dir())
stevedore.NamedExtensionManager('guestagent.datastore', [])
"""


def cache_of(site: Site, fallback: Path, **environment: str) -> str:
    process = site.run("-c", USE + LOOK, str(fallback), environment={"XDG_CACHE_HOME": "", **environment})
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


def test_an_account_with_a_home_keeps_its_cache(site: Site, tmp_path: Path) -> None:
    assert cache_of(site, tmp_path / "fallback", HOME=str(tmp_path)) == f"{tmp_path}/.cache/python-entrypoints"


def test_a_cache_that_somebody_chose_is_kept(site: Site, tmp_path: Path) -> None:
    chosen = cache_of(site, tmp_path / "fallback", HOME="/nonexistent", XDG_CACHE_HOME=str(tmp_path / "chosen"))

    assert chosen == f"{tmp_path}/chosen/python-entrypoints"


@pytest.mark.parametrize("home", ["", "/", "relative", "/nonexistent"])
def test_an_account_whose_home_cannot_hold_it_gets_the_fallback(site: Site, tmp_path: Path, home: str) -> None:
    assert cache_of(site, tmp_path / "fallback", HOME=home) == f"{tmp_path}/fallback/python-entrypoints"
    assert not (tmp_path / "relative").exists()


NOBODY = """
import os, pwd
del os.environ["HOME"]
pwd.getpwuid = {}.__getitem__
"""


def test_an_account_without_home_and_passwd_entry_makes_no_directory_called_tilde(site: Site, tmp_path: Path) -> None:
    process = site.run("-c", NOBODY + USE + LOOK, str(tmp_path / "fallback"), environment={"XDG_CACHE_HOME": ""})

    assert process.stdout.strip() == f"{tmp_path}/fallback/python-entrypoints", process.stderr
    assert not (tmp_path / "~").exists()


def test_without_us_it_would(site: Site, tmp_path: Path) -> None:
    """The control of the test above: the trap is still there."""
    process = site.run("-c", NOBODY + LOOK, environment={"XDG_CACHE_HOME": ""})

    assert process.stdout.strip() == "~/.cache/python-entrypoints", process.stderr


@pytest.mark.parametrize("place", ["/proc/nowhere", "/dev/null"])
def test_a_place_that_cannot_be_written_does_no_harm(site: Site, place: str) -> None:
    assert cache_of(site, Path(place), HOME="/nonexistent") == f"{place}/python-entrypoints"
