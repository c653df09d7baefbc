"""Each element's README names every variable that the element reads or sets."""

import re
from pathlib import Path

import pytest

from tests.support.environments import ROOT

ELEMENTS = sorted(path.parent for path in (ROOT / "elements").glob("*/element-deps"))
VARIABLE = re.compile(r"\bDIB_[A-Z_]+[A-Z]\b")
HEADING = re.compile(r"^(DIB_[A-Z_]+[A-Z])$", re.MULTILINE)
EVERY_HOOKS = {"DIB_DEBUG_TRACE", "DIB_PYTHON_EXEC"}
"""Of diskimage-builder: it sets them for every hook."""


@pytest.mark.parametrize("element", ELEMENTS, ids=lambda element: element.name)
def test_the_readme_names_every_variable(element: Path) -> None:
    hooks = [path for path in element.rglob("*") if path.is_file() and path.suffix != ".rst"]
    used = {name for hook in hooks for name in VARIABLE.findall(hook.read_text())} - EVERY_HOOKS

    told = (element / "README.rst").read_text()
    assert used - set(VARIABLE.findall(told)) == set()
    # What has a section of its own is one that counts here.
    assert set(HEADING.findall(told)) - used == set()
