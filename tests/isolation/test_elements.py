"""The distribution of the elements holds every file of every element, as executable as it is in the tree."""

import os
import zipfile
from pathlib import Path

import pytest

from tests.support.environments import ROOT, build_wheel

ELEMENTS = ROOT / "elements"


@pytest.fixture(scope="module")
def wheel() -> Path:
    return build_wheel("elements")


def test_every_file_of_an_element_is_in_the_wheel(wheel: Path) -> None:
    tree = {
        str(path.relative_to(ELEMENTS)): os.access(path, os.X_OK)
        for element in ELEMENTS.iterdir()
        if (element / "element-deps").is_file()
        for path in element.rglob("*")
        if path.is_file()
    }
    with zipfile.ZipFile(wheel) as archive:
        packed = {
            info.filename.partition("/elements/")[2]: bool(info.external_attr >> 16 & 0o111)
            for info in archive.infolist()
            if "/data/share/guestagent/elements/" in info.filename
        }

    assert packed == tree


def test_the_sample_of_a_policy_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert any(name.endswith("/data/share/guestagent/etc/image-policy.conf.sample") for name in archive.namelist())
