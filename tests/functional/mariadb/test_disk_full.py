"""A volume that fills up: reported, not hidden, and over when there is room again."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from guestagent.contract.databases import Database
from guestagent.contract.errors import DatastoreError
from guestagent.contract.states import ServiceStatus
from tests.functional.mariadb.machine import Machine, machine, prepare
from tests.support.machine import CONTEXT, user

SMALL = "[mysqld]\ninnodb_log_file_size = 4M\ninnodb_buffer_pool_size = 8M\ninnodb_temp_data_file_path = ibtmp1:12M\n"


@contextlib.contextmanager
def small_volume(megabytes: int) -> Iterator[Machine]:
    """A machine whose volume is in memory and has a limit."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a file system")
    with machine(statement_timeout=5) as made:
        options = f"size={megabytes}m,mode=755"
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(made.volume)], check=False)
        if mounted.returncode:
            pytest.skip("cannot mount a file system here")
        try:
            shutil.chown(made.volume, "mysql", "mysql")
            yield made
        finally:
            try:
                made.close()
            finally:
                subprocess.run(["umount", str(made.volume)], check=True)


def fill(guest: Machine) -> None:
    """Take all the space that is left, to the last block."""
    with (guest.volume / "filler").open("wb", buffering=0) as filler:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    filler.write(bytes(size))


def test_a_full_volume_is_reported_and_no_harm_is_done() -> None:
    with small_volume(96) as guest:
        manager = guest.manager()
        prepare(manager, config_contents=SMALL, databases=[Database("before")])
        fill(guest)
        assert manager.get_filesystem_stats(CONTEXT).avail_blocks == 0
        with pytest.raises(DatastoreError, match="is full"):
            manager.create_database(CONTEXT, [Database("too_much")])
        with pytest.raises(DatastoreError, match="is full"):
            manager.create_user(CONTEXT, [user("too_much")])
        with pytest.raises(DatastoreError, match="No space left"):
            manager.connections.execute("Trying", "CREATE TABLE `before`.t (a INT)")
        assert manager.service_status() is ServiceStatus.HEALTHY
        manager.restart(CONTEXT)

        (guest.volume / "filler").unlink()
        manager.create_database(CONTEXT, [Database("after")])
        assert [database.name for database in manager.list_databases(CONTEXT)[0]] == ["after", "before"]


def test_a_volume_that_is_too_small_fails_the_instance() -> None:
    with small_volume(8) as guest:
        with pytest.raises(DatastoreError, match="out of disk space"):
            prepare(guest.manager(), config_contents=SMALL)
        assert guest.reports[-1] is ServiceStatus.FAILED
        assert not (guest.volume / "data").exists()
