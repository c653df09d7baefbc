"""What the page about plugins lets a reader type works as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FILE = re.compile(r"^`(?P<name>[^`]+)`:\n\n```\w+\n(?P<text>.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """The package of the page, as a reader has typed it."""
    page = (ROOT / "docs" / "plugins.md").read_text()
    for found in FILE.finditer(page):
        file = tmp_path / found["name"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(found["text"])
    return tmp_path


def run(shelf: Path, *arguments: str) -> str:
    """Run Python with the package in its path."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=shelf,
        env={**os.environ, "PYTHONPATH": f"{shelf}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_pages_own_test_passes(shelf: Path) -> None:
    found = run(shelf, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert re.search(r"^6 passed", found, re.MULTILINE)


def test_the_installed_package_is_found_under_its_name(shelf: Path) -> None:
    run(shelf, "-c", "from setuptools import setup; setup()", "-q", "egg_info")
    table = run(shelf, "-m", "guestagent.cmd.guestagentctl", "plugins", "--no-agent")
    assert re.search(r"^guestagent\.datastore +shelf .*guestagent_shelf\.manager:ShelfManager", table, re.MULTILINE)
    sample = run(shelf, "-m", "guestagent.cmd.guestagentctl", "config-sample")
    assert "#directory = /var/lib/shelf" in sample
