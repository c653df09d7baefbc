"""A plugin from outside of the tree: built, installed beside the runtime alone, and tried by its author."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from guestagent.conformance.rabbit import Rabbit
from tests.support.environments import ROOT, build_wheel, environment

EXAMPLE = "examples/datastore-memcached"
INVENTORY = """
import importlib.metadata, json
print(json.dumps([found.name for found in importlib.metadata.distributions()]))
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
def author(runtime_wheel: Path, example_wheel: Path) -> Path:
    """The interpreter of the plugin's author: the same and the conformance kit."""
    kit = build_wheel("guestagent/conformance")
    return environment("author-memcached", [str(runtime_wheel), str(kit), str(example_wheel)])


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


def test_the_agent_of_the_image_passes_the_kit(image: Path, author: Path, rabbit: Rabbit, tmp_path: Path) -> None:
    """Its author's one file drives it over RPC, from another environment."""
    rabbit.start()
    done = subprocess.run(
        [author, "-I", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, ROOT / EXAMPLE / "tests"],
        env={**os.environ, "TRANSPORT_URL": rabbit.url, "GUESTAGENT_PYTHON": str(image)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout[-10000:] + done.stderr[-2000:]
    found = PASSED.search(done.stdout)
    assert found is not None, done.stdout
    assert "skipped" not in done.stdout
    assert int(found[1]) > 100
