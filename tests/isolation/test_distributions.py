"""One plugin is one wheel: what the wheels hold, and what an image holds that was made of two of them."""

import configparser
import json
import re
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.environments import ROOT, build_wheel
from tests.support.family import Family, families

INVENTORY = """
import importlib.metadata, json
print(json.dumps({
    found.name: {
        "files": [str(path) for path in found.files],
        "entry_points": [[point.group, point.name] for point in found.entry_points],
    }
    for found in importlib.metadata.distributions()
}))
"""
PLUGIN_GROUPS = tuple(
    f"guestagent.{kind}" for kind in ("datastore", "backup", "archive", "replication", "storage", "module")
)
BUILT_IN = [["guestagent.module", "ping"], ["guestagent.storage", "local"]]


def files_of(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def entry_points_of(wheel: Path) -> configparser.ConfigParser:
    (text,) = [content for name, content in files_of(wheel).items() if name.endswith(".dist-info/entry_points.txt")]
    parser = configparser.ConfigParser(delimiters=("=",))
    parser.read_string(text.decode())
    return parser


def canonical(name: str) -> str:
    """The one spelling of a distribution's name."""
    return name.lower().replace("_", "-")


@pytest.fixture(scope="module")
def inventory(image_python: Path) -> dict[str, Any]:
    """Every distribution of the image with its files and entry points."""
    # Isolated from the variables and the directory of whoever runs the tests.
    done = subprocess.run([image_python, "-I", "-c", INVENTORY], check=True, capture_output=True, text=True, timeout=60)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("datastore", sorted(path.name for path in (ROOT / "datastores").iterdir() if path.is_dir()))
def test_the_runtime_names_no_database(runtime_wheel: Path, datastore: str):
    naming = [
        name
        for name, content in files_of(runtime_wheel).items()
        if datastore in name.lower() or (name.startswith("guestagent/") and datastore.encode() in content.lower())
    ]

    assert naming == []


def test_the_runtimes_wheel_holds_the_runtime_and_nothing_else(runtime_wheel: Path):
    tops = {name.split("/")[0] for name in files_of(runtime_wheel)}

    assert {top for top in tops if not top.startswith("guestagent-")} == {"guestagent"}


@pytest.mark.parametrize("room", ["backup", "conformance"])
def test_what_not_every_image_needs_is_a_wheel_of_its_own(runtime_wheel: Path, room: str):
    folder = ROOT / "guestagent" / room
    held = {name for name in files_of(build_wheel(f"guestagent/{room}")) if ".dist-info/" not in name}
    modules = {str(path.relative_to(ROOT)) for path in folder.rglob("*.py")}

    assert held == modules | {str(path.relative_to(ROOT)) for path in folder.glob("py.typed")}
    assert not held & set(files_of(runtime_wheel))


def test_the_runtimes_wheel_brings_the_unit_and_the_samples(runtime_wheel: Path):
    data = {name.partition(".data/data/")[2] for name in files_of(runtime_wheel) if ".data/" in name}

    assert {f"share/guestagent/systemd/guestagent.{kind}" for kind in ("service", "path")} <= data
    assert any(name.endswith("image.conf.sample") for name in data)


def test_a_plugins_wheel_holds_one_package_and_one_datastore(datastore_wheel: Path, family: Family):
    tops = {name.split("/")[0] for name in files_of(datastore_wheel)}
    points = entry_points_of(datastore_wheel)

    assert {top for top in tops if not top.endswith(".dist-info")} == {family.package}
    assert [group for group in points.sections() if group in PLUGIN_GROUPS] == ["guestagent.datastore"]
    assert list(points["guestagent.datastore"]) == family.names


def test_both_wheels_say_that_their_types_can_be_checked(runtime_wheel: Path, datastore_wheel: Path, family: Family):
    assert "guestagent/py.typed" in files_of(runtime_wheel)
    assert f"{family.package}/py.typed" in files_of(datastore_wheel)


def test_an_image_holds_the_runtime_and_one_family(inventory: dict[str, Any], family: Family):
    points = {
        canonical(name): [point for point in found["entry_points"] if point[0] in PLUGIN_GROUPS]
        for name, found in inventory.items()
    }
    strategies = [folder.split("/") for folder in family.strategies]

    assert sorted(points.pop("guestagent")) == BUILT_IN
    assert points.pop(canonical(family.package)) == [["guestagent.datastore", name] for name in family.names]
    for kind, strategy in strategies:
        assert points.pop(canonical(f"guestagent-{strategy}")) == [[f"guestagent.{kind}", strategy]]
    assert not any(points.values())
    assert [name for name in points if name.startswith("guestagent")] == ["guestagent-backup"]


def test_an_image_holds_no_file_of_another_family(inventory: dict[str, Any], family: Family):
    tops = {path.split("/")[0] for found in inventory.values() for path in found["files"]}
    packages = {top for top in tops if top.startswith("guestagent") and ".dist-info" not in top}
    strategies = {f"guestagent_{Path(folder).name}" for folder in family.strategies}

    assert packages == {"guestagent", family.package, *strategies}
    for other in families():
        assert other is family or not tops & set(other.client)


def test_an_image_offers_no_option_group_of_another_family(image_python: Path, family: Family):
    command = [image_python, "-I", "-m", "guestagent.cmd.guestagentctl", "config-sample"]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    groups = set(re.findall(r"^\[(.+)\]$", said, re.MULTILINE))

    def own(one: Family) -> set[str]:
        return {*one.names, *(Path(folder).name for folder in one.strategies)}

    assert own(family) <= groups
    for other in families():
        assert other is family or not own(other) & groups


def test_every_strategy_for_a_database_belongs_to_a_family():
    found = [str(path.parent.relative_to(ROOT / "strategies")) for path in ROOT.glob("strategies/*/*/setup.cfg")]
    claimed = [folder for family in families() for folder in family.strategies]

    assert sorted(claimed) == sorted(folder for folder in found if not folder.startswith("storage/"))


def test_an_image_holds_nothing_of_the_control_plane_and_no_orm(inventory: dict[str, Any]):
    assert not {"trove", "SQLAlchemy", "sqlalchemy"} & set(inventory)
