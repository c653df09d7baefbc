"""A wheelhouse of this tree: complete for an agent, refused where it would be none, or one that nobody asked for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.environments import CONSTRAINTS, ROOT

PYPROJECT = """
[build-system]
requires = ["setuptools>=68"]
build-backend = "setuptools.build_meta"
"""


def command(*arguments: str | Path, programs: Path | None = None) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "guestagent_image", *map(str, arguments)]
    path = {"PATH": f"{programs}:{os.environ['PATH']}"} if programs else {}
    return subprocess.run(argv, env=os.environ | path, capture_output=True, text=True, timeout=280, check=False)


def wheelhouse(directory: Path, *selection: str) -> "subprocess.CompletedProcess[str]":
    return command("wheelhouse", *selection, f"--source={ROOT}", f"--constraint={CONSTRAINTS}", f"--output={directory}")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """One with a runtime that requires nothing, a datastore without a classifier and a store with one."""
    made = tmp_path / "checkout"
    for name, status, points in (
        ("guestagent", "4 - Beta", ""),
        ("guestagent-one", "", "guestagent.datastore =\n    one = one:One\n"),
        ("guestagent-store", "4 - Beta", "guestagent.storage =\n    store = store:Store\n"),
    ):
        folder = made / name
        folder.mkdir(parents=True)
        (folder / "pyproject.toml").write_text(PYPROJECT)
        classifiers = f"classifiers =\n    Development Status :: {status}\n" if status else ""
        (folder / "setup.cfg").write_text(
            f"[metadata]\nname = {name}\nversion = 1.0\n{classifiers}[options]\npy_modules =\n"
            f"[options.entry_points]\n{points}"
        )
    return made


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """What a build is made with, which does nothing here: it must not get so far."""
    directory = tmp_path / "programs"
    directory.mkdir()
    for program in ("debootstrap", "disk-image-create", "qemu-img", "sudo"):
        (directory / program).touch(mode=0o755)
    return directory


def test_an_image_of_an_experimental_plugin_is_refused_before_it_is_built(
    checkout: Path, programs: Path, tmp_path: Path
) -> None:
    elements = tmp_path / "elements"
    (elements / "guestagent-one").mkdir(parents=True)
    (elements / "guestagent-one/element-deps").touch()
    image = tmp_path / "guest.qcow2"

    done = command(
        *("build", "--datastore=one", f"--source={checkout}", f"--elements={elements}", f"--output={image}"),
        programs=programs,
    )

    assert done.returncode == 1
    assert "holds what is experimental: guestagent-one 1.0; " in done.stderr.splitlines()[-1]
    assert "do they fit together?" not in done.stderr
    assert list(tmp_path.glob("guest*")) == []


def test_a_wheelhouse_that_a_policy_is_against_is_refused(checkout: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.conf"
    policy.write_text("[policy]\nmaturity = technical-preview\nrefuse = guestagent-s*\n")

    done = command(
        *("wheelhouse", "--datastore=one", "--storage=store", "--experimental", f"--policy={policy}"),
        *(f"--source={checkout}", f"--output={tmp_path / 'wheels'}"),
    )

    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert f"The policy {policy} refuses this selection: " in last
    assert "guestagent-one 1.0 is experimental, and less than technical-preview, guestagent-store is refused" in last


def test_an_experimental_plugin_that_was_asked_for_is_tried_like_any_other(tmp_path: Path) -> None:
    done = wheelhouse(tmp_path / "wheels", "--datastore=memcached", "--experimental")

    assert done.returncode == 0, done.stderr
    assert "guestagent-memcached==" in (tmp_path / "wheels/requirements.txt").read_text()


def test_a_strategy_for_another_datastore_is_refused_with_the_agents_sentence(tmp_path: Path) -> None:
    done = wheelhouse(tmp_path / "wheels", "--datastore=sleeper", "--backup=mariabackup", "--experimental")

    assert done.returncode == 1, done.stderr
    assert "is for mariadb and not for 'sleeper'" in done.stderr
    assert list((tmp_path / "wheels").iterdir()) == [], "an image could be built from what was refused"


def test_a_wheelhouse_is_complete_and_tried_again_before_it_is_built_from(programs: Path, tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    done = wheelhouse(wheels, "--datastore=mariadb", "--backup=mariabackup")

    assert done.returncode == 0, done.stderr
    # All that it needs is there, with hashes, but what no agent imports, and what would install more.
    requirements = (wheels / "requirements.txt").read_text().splitlines()
    names = {line.partition("==")[0] for line in requirements}
    assert all(" --hash=sha256:" in line for line in requirements)
    assert {"guestagent", "guestagent-mariadb", "guestagent-mariabackup", "zstandard", "oslo-messaging"} <= names
    assert {"eventlet", "pip", "requests", "setuptools"} & names == set()

    declaration = (wheels / "image.conf").read_text()
    (wheels / "image.conf").write_text(declaration.replace("mariabackup", "mariabackup,redis_rdb"))
    done = command("build", f"--wheelhouse={wheels}", f"--output={tmp_path / 'guest.qcow2'}", programs=programs)

    assert done.returncode == 1
    assert "[image] declares 'redis_rdb', and no installed package offers it" in done.stderr
    assert list(tmp_path.glob("guest*")) == []
    assert (wheels / "image.conf").exists(), "it is somebody else's"


def test_a_directory_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "other.whl").touch()

    done = wheelhouse(tmp_path, "--datastore=sleeper")

    assert done.returncode == 1
    assert "is not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["other.whl"]
