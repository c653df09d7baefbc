"""One plugin is one wheel: what the wheels hold, and what an image holds that was made of two of them."""

import configparser
import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.environments import ROOT, build_wheel

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
PLUGIN_GROUPS = tuple(f"guestagent.{kind}" for kind in ("datastore", "backup", "replication", "storage", "module"))
BUILT_IN = [["guestagent.module", "ping"], ["guestagent.storage", "local"]]


def files_of(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def entry_points_of(wheel: Path) -> configparser.ConfigParser:
    (text,) = [content for name, content in files_of(wheel).items() if name.endswith(".dist-info/entry_points.txt")]
    parser = configparser.ConfigParser(delimiters=("=",))
    parser.read_string(text.decode())
    return parser


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


def test_the_kit_of_plugin_authors_is_a_wheel_of_its_own(runtime_wheel: Path):
    kit = {name for name in files_of(build_wheel("guestagent/conformance")) if ".dist-info/" not in name}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "guestagent" / "conformance").rglob("*.py")}

    assert kit == modules | {"guestagent/conformance/py.typed"}
    assert not kit & set(files_of(runtime_wheel))


def test_the_runtimes_wheel_brings_the_unit_and_the_samples(runtime_wheel: Path):
    data = {name.partition(".data/data/")[2] for name in files_of(runtime_wheel) if ".data/" in name}

    assert "share/guestagent/systemd/guestagent.service" in data
    assert any(name.endswith("image.conf.sample") for name in data)


def test_a_plugins_wheel_holds_one_package_and_one_datastore(mariadb_wheel: Path):
    tops = {name.split("/")[0] for name in files_of(mariadb_wheel)}
    points = entry_points_of(mariadb_wheel)

    assert {top for top in tops if not top.endswith(".dist-info")} == {"guestagent_mariadb"}
    assert [group for group in points.sections() if group in PLUGIN_GROUPS] == ["guestagent.datastore"]
    assert list(points["guestagent.datastore"]) == ["mariadb"]


def test_both_wheels_say_that_their_types_can_be_checked(runtime_wheel: Path, mariadb_wheel: Path):
    assert "guestagent/py.typed" in files_of(runtime_wheel)
    assert "guestagent_mariadb/py.typed" in files_of(mariadb_wheel)


def test_an_image_holds_the_runtime_and_the_one_plugin(inventory: dict[str, Any]):
    ours = {name for name in inventory if name.lower().replace("_", "-").startswith("guestagent")}
    points = {
        name: [point for point in found["entry_points"] if point[0] in PLUGIN_GROUPS]
        for name, found in inventory.items()
    }

    assert ours == {"guestagent", "guestagent-mariadb"}
    assert sorted(points.pop("guestagent")) == BUILT_IN
    assert points.pop("guestagent-mariadb") == [["guestagent.datastore", "mariadb"]]
    assert not any(points.values())


def test_an_image_holds_no_file_of_another_plugin(inventory: dict[str, Any]):
    packages = {
        path.split("/")[0]
        for found in inventory.values()
        for path in found["files"]
        if path.split("/")[0].startswith("guestagent") and ".dist-info" not in path
    }

    assert packages == {"guestagent", "guestagent_mariadb"}


def test_an_image_holds_nothing_of_the_control_plane_and_no_orm(inventory: dict[str, Any]):
    assert not {"trove", "SQLAlchemy", "sqlalchemy"} & set(inventory)
