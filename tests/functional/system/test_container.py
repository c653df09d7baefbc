"""Runs the tests that need a real systemd, in a container that boots one from this very machine's file system."""

import sys
from pathlib import Path

import pytest

from guestagent.conformance.disk import MakeDisk
from guestagent.system.volume import BlockDevice
from tests.support.container import Container, copy_of_this_machine


@pytest.mark.parametrize("name", ["test_systemd.py", "test_agent_unit.py"])
def test_inside(container: Container, name: str) -> None:
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = container.run([*pytest, f"tests/functional/system/{name}"], timeout=300)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


def test_two_at_a_time_keep_apart(container: Container, tmp_path: Path) -> None:
    with copy_of_this_machine(tmp_path) as other:
        for each in (container, other):
            done = each.run(["systemd-run", "--unit=same", "sleep", "infinity"], timeout=60)
            assert done.returncode == 0, done.stderr
        processes = Path("/sys/fs/cgroup/system.slice/same.service/cgroup.procs")
        assert len(container.run(["cat", str(processes)], timeout=60).stdout.split()) == 1


def test_a_volume_that_was_mounted_before_it_began_is_not_held(make_disk: MakeDisk, tmp_path: Path) -> None:
    disk = make_disk()
    device = BlockDevice(disk.path, wait=0)
    device.format_if_empty()
    device.mount(tmp_path / "a volume")
    (tmp_path / "scratch").mkdir()
    with copy_of_this_machine(tmp_path / "scratch"):
        disk.unmount()
