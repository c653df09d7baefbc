"""An image, from its files to an instance with a backup, all on that very image."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from guestagent_image import inventory

from guestagent.conformance.conductor import Conductor
from guestagent.conformance.poll import eventually
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import NoReply, Wire
from tests.image import drive, poison
from tests.image.budgets import MB, SIZE, Budgets, limit
from tests.image.builds import Build
from tests.image.guest import Guest, boot, loaded_plugins, wait_until_system_is
from tests.image.machine import require
from tests.support.swift import Swift

INJECTED = Path("/etc/trove/conf.d")
Boot = Callable[..., contextlib.AbstractContextManager[Guest]]


@pytest.fixture
def start(
    build: Build,
    files: Path,
    tmp_path_factory: pytest.TempPathFactory,
    rabbit: Rabbit,
    swift: Swift,
    control: tuple[Wire, Conductor],
) -> Boot:
    """Boots a guest from the image's files."""
    require("boot in systemd-nspawn", "systemd-nspawn", "ip")

    def make(
        change: Callable[[Path], object] = lambda _root: None, *, late: bool = False
    ) -> contextlib.AbstractContextManager[Guest]:
        return boot(build, files, tmp_path_factory.mktemp("guest"), rabbit, swift, *control, change, late=late)

    return make


@pytest.fixture
def store(swift: Swift) -> dict[str, str]:
    """What the control plane says of the store: its address as guests see it."""
    return {"storage_driver": "swift", "swift_url": swift.url.replace("127.0.0.1", "10.77.0.1")}


def command(*arguments: str | Path) -> str:
    argv = [sys.executable, "-m", "guestagent_image", *map(str, arguments)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_holds_one_datastore_and_nothing_that_must_not_be_there(build: Build, image: Path, budgets: Budgets) -> None:
    assert command("check", image) == ""
    found = json.loads(command("show", "--json", image))
    assert found["declared"]["datastore"] == [build.name]
    assert found["datastores"] == [f"guestagent-{build.family}"]
    assert found["plugins"]["backup"] == found["declared"]["backup"] == [build.strategy]
    names = {package["name"] for package in found["distributions"]}
    assert {"pip", "setuptools", "guestagent-s3"} & names == set()
    sizes = {"the agent on disk": found["agent_bytes"]}
    if build.form == "qcow2":
        sizes[SIZE] = image.stat().st_size
    for name, size in sizes.items():
        budgets.measured(build, name, size / MB)
        assert size / MB <= limit(build, name)[0], name


def test_only_root_reads_what_the_control_plane_injects(start: Boot) -> None:
    with start() as guest:
        guest.wait_until_answers()
        # cloud-init makes the files themselves readable for everybody.
        assert guest.run("stat", "--format=%U:%G", str(INJECTED / "guest_info.conf")).strip() == drive.OWNER
        assert [guest.path(path).stat().st_mode & 0o777 for path in (INJECTED.parent, INJECTED)] == [0o700, 0o700]


def test_an_instance_lives_and_its_backup_comes_back_among_poisoned_plugins(
    build: Build, start: Boot, swift: Swift, store: dict[str, str], budgets: Budgets
) -> None:
    poisoned: list[str] = []
    datastore = f"guestagent_{build.family}"
    plugins = {datastore, f"guestagent_{build.strategy}", "guestagent_swift"}
    with start() as first:
        budgets.measured(build, "nspawn: boot to the first answer", first.wait_until_answers())
        assert build.server & first.processes() == set(), "it runs before anybody prepared it"
        first_described = first.describe()
        assert first_described["datastore"]["name"] == build.name
        assert first.prepare(swift.token()).method == "notify_end"
        first.wait_until_healthy()
        budgets.measured(build, "nspawn: boot to healthy after prepare", time.monotonic() - first.booted_at)
        wait_until_system_is(first, "running")
        first.write("tea", "green")
        first.write("coffee", "black")
        assert build.server & first.processes(), "it is known by another name, and was not looked for before"
        backup = first.back_up(store, swift.token())
        assert {datastore} <= loaded_plugins(first) <= plugins

    with start(lambda root: poisoned.extend(poison.install(root))) as second:
        assert len(poisoned) > 2
        second.wait_until_answers()
        assert second.describe() == first_described | {"guest_id": second.id}
        info = {"id": backup["backup_id"], "type": "full", **store}
        info |= {"location": backup["location"], "checksum": backup["checksum"]}
        assert second.prepare(swift.token(), databases=[], users=[], backup_info=info).method == "notify_end"
        second.wait_until_healthy()
        assert (second.read("tea"), second.read("coffee")) == ("green", "black")
        second.write("tea", "white")
        assert second.back_up(store, swift.token())["state"] == "COMPLETED"
        assert {datastore} <= loaded_plugins(second) <= plugins
        assert not second.path(poison.MARKER).exists()


def test_the_poison_works(start: Boot) -> None:
    """The control run: where the image declares one of them, it is imported, and the agent never answers."""

    def change(root: Path) -> None:
        poison.install(root)
        poison.declare(root, "storage_strategies", "s3")

    with start(change) as guest:
        eventually(guest.path(poison.MARKER).exists, timeout=60, message="it was not imported")
        with pytest.raises(NoReply):
            guest.wait_until_answers(2)


def test_files_that_come_late_wake_the_agent(start: Boot) -> None:
    with start(late=True) as guest:
        wait_until_system_is(guest, "running")
        assert guest.run("systemctl", "is-active", "guestagent").strip() == "inactive"
        guest.inject()
        guest.wait_until_answers()


def test_the_inventory_is_that_of_the_files(files: Path) -> None:
    assert inventory.read(files).declared["module"] == ["ping"]
