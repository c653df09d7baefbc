"""A plugin from outside of the tree: built, installed beside the runtime alone, and tried by its author."""

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from guestagent.conformance.rabbit import Rabbit
from tests.support.environments import ROOT, build_wheel, environment

EXAMPLE = "examples/datastore-memcached"
SECONDS = 840
INVENTORY = """
import importlib.metadata, json
print(json.dumps([found.name for found in importlib.metadata.distributions()]))
"""
FILE = ROOT / EXAMPLE / "tests" / "test_conformance.py"
WRONG = """
class Wrong(Memcached):
    keeps_data = True
    live, restart = Setting("threads", 3), Setting("threads", 2, seen=5)
    refused = (Setting("threads", 2),)
    lose_root_disk = Datastore.lose_root_disk

DATASTORE = Wrong
"""
PASSED = re.compile(r"^(\d+) passed, (\d+) deselected", re.MULTILINE)


@pytest.fixture(scope="module")
def example_wheel() -> Path:
    return build_wheel(EXAMPLE)


@pytest.fixture(scope="module")
def image(runtime_wheel: Path, example_wheel: Path) -> Path:
    """The interpreter of an image: the runtime and the example."""
    return environment("image-memcached", [str(runtime_wheel), str(example_wheel)])


@pytest.fixture(scope="module")
def author(runtime_wheel: Path, example_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the plugin's author has installed beside the libraries: the runtime, the conformance kit and the example."""
    installed = tmp_path_factory.mktemp("author")
    for wheel in (runtime_wheel, build_wheel("guestagent/conformance"), example_wheel):
        zipfile.ZipFile(wheel).extractall(installed)
    return installed


def test_an_image_holds_the_runtime_and_the_example_and_nothing_else_of_ours(image: Path) -> None:
    done = subprocess.run([image, "-I", "-c", INVENTORY], check=True, capture_output=True, text=True, timeout=60)
    found = json.loads(done.stdout)
    ours = {name for name in found if name.lower().startswith("guestagent")}
    assert ours == {"guestagent", "guestagent-memcached"}
    assert "pytest" not in found


def test_the_example_is_found_under_its_name(image: Path) -> None:
    def ctl(*arguments: str) -> str:
        command = [image, "-I", "-m", "guestagent.cmd.guestagentctl", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    assert re.search(r"^guestagent\.datastore +memcached ", ctl("plugins", "--no-agent"), re.MULTILINE)
    assert re.search(r"^lifecycle +restart +1\.0 +yes", ctl("plugins", "--matrix"), re.MULTILINE)
    assert "#port = 11211" in ctl("config-sample")


def test_an_image_without_a_backup_strategy_says_so(image: Path) -> None:
    command = [image, "-I", "-m", "guestagent.cmd.guestagentctl", "backups", "verify", "--all"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("guestagentctl: This installation holds nothing for backups")
    assert "install guestagent[backup]" in done.stderr


@pytest.fixture
def try_on(image: Path, author: Path, rabbit: Rabbit, tmp_path: Path) -> Callable[..., str]:
    """Runs the kit with a file of the author's on the agent of the image; what pytest says, and how it ends."""
    rabbit.start()

    def run(file: Path, *arguments: str) -> str:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path]
        author_has = {"PYTHONPATH": str(author), "TRANSPORT_URL": rabbit.url, "GUESTAGENT_PYTHON": str(image)}
        done = subprocess.run(
            [*command, *arguments, file],
            env=os.environ | author_has,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode in (0, 1), done.stdout[-5000:] + done.stderr[-2000:]
        return done.stdout

    return run


@pytest.mark.timeout(SECONDS + 60)
def test_the_agent_of_the_image_passes_the_kit(try_on: Callable[..., str]) -> None:
    """Its author's one file drives it over RPC, from another environment."""
    said = try_on(FILE)
    found = PASSED.search(said)
    assert found is not None, said[-10000:]
    assert int(found[1]) > 100


def test_a_plugin_that_is_not_as_it_is_described_fails(try_on: Callable[..., str], tmp_path: Path) -> None:
    wrong = tmp_path / "test_wrong.py"
    wrong.write_text(FILE.read_text() + WRONG)
    said = try_on(wrong, "-k", "TestClaims or TestConfiguration or TestDeaths or TestStartsAndStops", "--tb=line")
    assert sorted(re.findall(r"^FAILED test_wrong.py::(\S+)", said, re.MULTILINE)) == [
        "TestClaims::test_everything_that_is_claimed_can_be_tried",
        "TestConfiguration::test_a_live_setting_applies_at_once_and_stays",
        "TestConfiguration::test_another_waits_for_a_restart",
        "TestConfiguration::test_what_the_server_refuses_leaves_the_previous_in_force",
        "TestDeaths::test_a_power_cut_takes_both_and_both_come_again",
        "TestDeaths::test_a_server_that_dies_is_started_again",
        "TestStartsAndStops::test_a_restart_is_another_process_with_the_same_data",
    ]
