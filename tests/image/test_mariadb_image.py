"""The MariaDB image, from its files to an instance with a backup, all on that very image."""

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
from tests.image import poison
from tests.image.budgets import LIMITS, Budgets
from tests.image.guest import DATASTORE, Guest, boot, loaded_plugins, wait_until_system_is
from tests.image.machine import require
from tests.support.swift import Swift

MB = 10**6
DATABASE = {"mariadbd", "mysqld"}

Boot = Callable[..., contextlib.AbstractContextManager[Guest]]


@pytest.fixture
def start(
    files: Path, tmp_path_factory: pytest.TempPathFactory, rabbit: Rabbit, swift: Swift, control: tuple[Wire, Conductor]
) -> Boot:
    """Boots a guest from the image's files."""
    require("boot in systemd-nspawn", "systemd-nspawn", "ip")

    def make(change: Callable[[Path], object] = lambda _root: None) -> contextlib.AbstractContextManager[Guest]:
        return boot(files, tmp_path_factory.mktemp("guest"), rabbit, swift, *control, change)

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


def test_it_holds_one_datastore_and_nothing_that_must_not_be_there(image: Path, budgets: Budgets) -> None:
    assert command("check", image) == ""
    found = json.loads(command("show", "--json", image))
    assert found["plugins"]["datastore"] == found["declared"]["datastore"] == [DATASTORE]
    assert found["plugins"]["backup"] == found["declared"]["backup"] == ["mariabackup"]
    names = {package["name"] for package in found["distributions"]}
    assert {"pip", "setuptools", "guestagent-s3"} & names == set()
    for name, size in (("image, compressed", image.stat().st_size), ("the agent on disk", found["agent_bytes"])):
        budgets.measured(name, size / MB)
        assert size / MB <= LIMITS[name][0], name


def test_an_instance_lives_and_its_backup_comes_back_among_poisoned_plugins(
    start: Boot, swift: Swift, store: dict[str, str], budgets: Budgets
) -> None:
    poisoned: list[str] = []
    with start() as first:
        budgets.measured("nspawn: boot to the first answer", first.wait_until_answers())
        assert DATABASE & first.processes() == set(), "it runs before anybody prepared it"
        assert first.describe()["datastore"]["name"] == DATASTORE
        assert first.prepare(swift.token()).method == "notify_end"
        first.wait_until_healthy()
        budgets.measured("nspawn: boot to healthy after prepare", time.monotonic() - first.booted_at)
        wait_until_system_is(first, "running")
        first.sql("CREATE TABLE wares (id INT PRIMARY KEY, words TEXT)")
        first.sql("INSERT INTO wares VALUES (1, 'tea'), (2, 'coffee')")
        backup = first.back_up(store, swift.token())
        assert loaded_plugins(first) >= {"guestagent_mariadb"}
        assert loaded_plugins(first) <= {"guestagent_mariadb", "guestagent_mariabackup", "guestagent_swift"}

    with start(lambda root: poisoned.extend(poison.install(root))) as second:
        assert len(poisoned) > 2
        second.wait_until_answers()
        info = {"id": backup["backup_id"], "type": "full", **store}
        info |= {"location": backup["location"], "checksum": backup["checksum"]}
        assert second.prepare(swift.token(), databases=[], users=[], backup_info=info).method == "notify_end"
        assert second.sql("SELECT words FROM wares ORDER BY id") == (("tea",), ("coffee",))
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


def test_the_inventory_is_that_of_the_files(files: Path) -> None:
    assert inventory.read(files).declared["module"] == ["ping"]
