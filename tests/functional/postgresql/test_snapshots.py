"""A copy of the volume, made between the two calls around a snapshot, is what a server can start on."""

import shutil

from guestagent_postgresql import scratch_server
from guestagent_postgresql.manager import PostgreSQLManager

from guestagent.contract.databases import Database
from guestagent.system import command, files
from tests.functional.postgresql.machine import Machine
from tests.support.machine import CONTEXT, PASSWORD, user


def test_a_server_starts_on_a_snapshot(guest: Machine, manager: PostgreSQLManager) -> None:
    manager.create_database(CONTEXT, [Database("shop")])
    manager.create_user(CONTEXT, [user("keeper", databases=("shop",))])
    guest.ask("keeper", PASSWORD, "CREATE TABLE t AS SELECT generate_series(1, 1000) a", "shop")
    found = manager.pre_create_backup(CONTEXT)
    assert set(found) == {"lsn", "timeline"}
    # Nobody writes here; what makes a snapshot of a volume that is in use is the block device.
    copy, run_dir = guest.volume / "copy", guest.directory / "run" / "copy"
    files.ensure_directory(run_dir, mode=0o700, owner=manager.account, group=manager.account)
    command.run(["cp", "--archive", str(manager.data_dir), str(copy)], timeout=60)
    (copy / "postmaster.pid").unlink()
    assert manager.post_create_backup(CONTEXT) == {}
    guest.ask("keeper", PASSWORD, "INSERT INTO t VALUES (1001)", "shop")
    try:
        with scratch_server.running(manager.programs, manager.account, copy, run_dir, 60, 60) as query:
            assert query("SELECT datname, NULL FROM pg_database WHERE datname = 'shop'") == [["shop", None]]
            assert query("SELECT count(*) FROM pg_roles WHERE rolname = 'keeper'") == [["1"]]
            assert query(r"\c shop SELECT count(*) FROM t") == [["1000"]]
        assert not (copy / "postmaster.pid").exists()
    finally:
        shutil.rmtree(copy)
