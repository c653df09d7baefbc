"""What must not be in an image: each thing by itself is found, and an image without any is clean."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from guestagent_image.checks import Builder, check

from tests.support.environments import ROOT

BUILDER = Builder(words=("http://mirror.builder.example/debian",), units=("database.service",))
HOOK = ROOT / "elements/guestagent/cleanup.d/99-guestagent-check"
SUDO = ROOT / "tests/image/shims"
"""What root has where no sudo is."""
SITE = "opt/guestagent/lib/python3.11/site-packages"


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def link(root: Path, path: str, target: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).symlink_to(target)


def add_plugin(root: Path, name: str, kind: str, plugin: str) -> None:
    write(root, f"{SITE}/{name}-1.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    write(root, f"{SITE}/{name}-1.dist-info/entry_points.txt", f"[guestagent.{kind}]\n{plugin} = {name}:Plugin\n")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """One that may leave the builder's machine."""
    (tmp_path / "usr/local/bin").mkdir(parents=True)
    write(tmp_path, "etc/os-release", 'PRETTY_NAME="Some system"\n')
    write(tmp_path, "etc/machine-id", "")
    write(tmp_path, "etc/shadow", "root:*:19000:0:99999:7:::\nmysql:!:19000::::::\n")
    write(tmp_path, "etc/guestagent/image.conf", "[image]\ndatastore = one\n")
    link(tmp_path, "etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")
    for wanted in ("multi-user.target.wants/guestagent.service", "paths.target.wants/guestagent.path"):
        link(tmp_path, f"etc/systemd/system/{wanted}", "/usr/lib/systemd/system/guestagent.service")
    link(tmp_path, "etc/systemd/system/database.service", "/dev/null")
    add_plugin(tmp_path, "datastore_one", "datastore", "one")
    add_plugin(tmp_path, "store", "storage", "local")
    add_plugin(tmp_path, "driver", "module", "ping")
    return tmp_path


def test_a_clean_image_is_clean(image: Path):
    assert check(image, BUILDER) == []


def replace(path: str, text: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        (root / path).unlink(missing_ok=True)
        write(root, path, text)

    return change


@pytest.mark.parametrize(
    ("id_", "change"),
    [
        ("image.key", replace("etc/ssh/ssh_host_ed25519_key", "-----BEGIN OPENSSH PRIVATE KEY-----\n")),
        ("image.key", replace("root/.ssh/authorized_keys", "ssh-ed25519 AAAA\n")),
        ("image.password", replace("etc/shadow", "root:$6$salt$hash:19000::::::\n")),
        ("image.password", replace("etc/shadow", "root:$y$j9T$salt$hash:19000::::::\n")),
        ("image.password", replace("etc/shadow", "root::19000::::::\n")),
        ("image.password", lambda root: (root / "etc/shadow").unlink()),
        ("image.injected", replace("etc/trove/conf.d/guest_info.conf", "[DEFAULT]\n")),
        ("image.injected", replace("var/lib/cloud/seed/nocloud/user-data", "#cloud-config\n")),
        ("image.used", replace("var/lib/guestagent/operations.sqlite", "")),
        ("image.machine-id", replace("etc/machine-id", "0123456789abcdef0123456789abcdef\n")),
        ("image.first-boot", replace("etc/machine-id", "uninitialized\n")),
        ("image.first-boot", lambda root: (root / "etc/machine-id").unlink()),
        ("image.resolver", replace("etc/resolv.conf", "nameserver 192.0.2.1\n")),
        ("image.builder", replace("etc/apt/sources.list", "deb http://mirror.builder.example/debian bookworm main\n")),
        ("image.builder", replace("root/.bashrc", "export DIB_RELEASE=bookworm\n")),
        ("image.builder", replace("etc/some.conf", "DIB_RELEASE = bookworm\n")),
        ("image.builder", replace("var/cache/build.json", '{"DIB_PYTHON3": "yes"}\n')),
        ("image.builder", replace("boot/grub/grub.cfg", f"# {BUILDER.words[0]}\n")),
        ("image.builder", replace("opt/guestagent/share/sources", f"{BUILDER.words[0]}\n")),
        ("image.builder", replace("var/log/apt/term.log", "x" * (1 << 20) + f"\n{BUILDER.words[0]}/dists\n")),
        ("image.variables", replace("etc/dib-manifests/dib_environment", "HOME=/root\n")),
        ("image.installer", replace(f"{SITE}/pip/__init__.py", "")),
        ("image.declaration", replace("etc/guestagent/image.conf", "[image]\ndatastore = one\nmodules = none\n")),
        ("image.declaration", replace("etc/guestagent/image.conf", "[image]\nmodules = ping\n")),
        ("image.datastores", lambda root: add_plugin(root, "datastore_two", "datastore", "two")),
        ("image.unit", lambda root: (root / "etc/systemd/system/paths.target.wants/guestagent.path").unlink()),
        ("image.database", lambda root: (root / "etc/systemd/system/database.service").unlink()),
    ],
)
def test_it_is_found(image: Path, id_: str, change: Callable[[Path], None]):
    change(image)

    assert [finding.id for finding in check(image, BUILDER)] == [id_]


@pytest.mark.parametrize("variable", ["DIB_DISTRIBUTION_MIRROR", "PIP_INDEX_URL", "https_proxy", "HTTPS_PROXY"])
def test_the_builders_mirror_is_known_from_the_build_and_debians_own_may_stay(variable: str):
    given = {variable: "http://mirror.example/debian/", "http_proxy": "http://deb.debian.org/debian"}

    assert Builder.of(given).words == ("http://mirror.example/debian",)


def last_step(root: Path) -> "subprocess.CompletedProcess[str]":
    """The last step of a build, as diskimage-builder runs it."""
    build = {"TARGET_ROOT": str(root), "DIB_PYTHON_EXEC": sys.executable, "DIB_DISTRIBUTION_MIRROR": BUILDER.words[0]}
    environment = os.environ | build | {"PATH": f"{SUDO}:{os.environ['PATH']}"}
    return subprocess.run([HOOK], env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_last_step_of_a_build_takes_out_what_diskimage_builder_leaves(image: Path):
    write(image, "etc/dib-manifests/dib_environment", "DIB_RELEASE=bookworm\n")
    write(image, "usr/local/bin/dib-run-parts", "#!/bin/bash\n")
    write(image, "usr/local/bin/guestagentctl", "")

    done = last_step(image)

    assert done.returncode == 0, done.stdout + done.stderr
    assert not (image / "etc/dib-manifests").exists()
    assert [path.name for path in (image / "usr/local/bin").iterdir()] == ["guestagentctl"]


def test_the_last_step_of_a_build_fails_it_where_something_stays(image: Path):
    write(image, "etc/apt/sources.list", f"deb {BUILDER.words[0]} bookworm main\n")

    done = last_step(image)

    assert done.returncode == 1
    assert done.stdout.startswith("image.builder: etc/apt/sources.list: ")
