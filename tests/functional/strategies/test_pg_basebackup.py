"""Backups of a real PostgreSQL: what comes back, what is refused, and what is left behind."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from guestagent_pg_basebackup.errors import BaseInvalid
from guestagent_pg_basebackup.strategy import PgBaseBackup
from guestagent_postgresql.manager import PostgreSQLManager

from guestagent.backup.base import POSITION_FILE, ChainBroken, Server
from guestagent.conformance.poll import eventually
from guestagent.contract.errors import DatastoreDown, DatastoreError, NotSupported
from guestagent.system import files
from tests.functional.postgresql.machine import Machine, machine, prepare
from tests.functional.strategies.cluster import OWNER, Shop, opened
from tests.functional.strategies.kept import Kept, keep, processes
from tests.support.interruptions import cancelled_once
from tests.support.machine import CONTEXT, PASSWORD
from tests.support.onlooker import Onlooker
from tests.support.postgresql import DATASTORE

PROGRAMS = ("pg_verifybackup", "tar")


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with opened() as made:
        made.ask("CREATE TABLE debit (id bigserial, amount bigint); CREATE TABLE credit (LIKE debit)")
        yield made


@pytest.fixture
def strategy(shop: Shop) -> Iterator[PgBaseBackup]:
    with shop.strategy() as made:
        yield made


@pytest.fixture(scope="module")
def full(shop: Shop) -> Kept:
    with shop.strategy() as strategy:
        return keep(strategy, shop.machine.directory / "full.tar")


def test_a_backup_of_a_busy_server_holds_one_moment_of_it(shop: Shop, strategy: PgBaseBackup, tmp_path: Path) -> None:
    closing, begun = threading.Event(), threading.Event()

    def trade() -> None:
        """Money goes from hand to hand: as much into one table as into the other, in one transaction."""
        statement = "INSERT INTO credit SELECT * FROM one"
        with shop.machine.log_in("keeper", PASSWORD, "shop") as connection:
            while not closing.is_set():
                connection.run(f"WITH one AS (INSERT INTO debit (amount) VALUES (1) RETURNING *) {statement}")
                begun.set()

    trader = threading.Thread(target=trade)
    trader.start()
    try:
        assert begun.wait(10)
        [[least]] = shop.ask("SELECT count(*) FROM credit")
        kept = keep(strategy, tmp_path / "busy.tar")
        [[most]] = shop.ask("SELECT count(*) FROM credit")
    finally:
        closing.set()
        trader.join()
    # The server lets a slot go when it has seen that its user went.
    eventually(lambda: not shop.slots())

    with machine() as made:
        manager = made.manager()
        _prepare_from(made, manager, kept, shop)
        [[got]] = made.ask("keeper", PASSWORD, "SELECT count(*) FROM credit", "shop")
        assert least <= got <= most
        assert made.ask("keeper", PASSWORD, "SELECT count(*) FROM debit", "shop") == [[got]]
        assert made.ask("keeper", PASSWORD, "SELECT count(*) FROM quiet", "shop") == [[20000]]
        # It is a server of its own, whose agent was let in.
        assert [one.name for one in manager.list_users(CONTEXT)[0]] == ["keeper"]
        manager.restart(CONTEXT)


def _prepare_from(made: Machine, manager: PostgreSQLManager, kept: Kept, shop: Shop) -> None:
    """Prepare an instance whose data come out of the backup."""

    def restore(context: object, backup_info: object, target: Path) -> None:
        server = Server(DATASTORE, "15.0", target, made.volume / ".backup-scratch", OWNER)
        PgBaseBackup(made.conf, server).restore([kept.stage()], target)

    manager.restore = restore  # type: ignore[method-assign]
    prepare(manager, backup_info={"id": "kept"})


def test_positions_say_where_the_data_stand(shop: Shop, strategy: PgBaseBackup, tmp_path: Path) -> None:
    began = time.time()
    [[before]] = shop.manager.connections.fetch("Reading", "SELECT CAST(pg_current_wal_lsn() AS text)")
    taken = keep(strategy, tmp_path / "full.tar").taken
    positions = taken.positions
    question = (
        "SELECT CAST(:before AS pg_lsn) <= CAST(:start AS pg_lsn) AND CAST(:start AS pg_lsn) < CAST(:end AS pg_lsn)"
    )
    values = {"before": before, "start": positions["start_lsn"], "end": positions["end_lsn"]}
    assert shop.manager.connections.fetch("Comparing", question, **values) == [[True]]
    assert positions["timeline"] == 1
    assert positions["server_version"].startswith("15.")
    assert began <= taken.ended <= time.time()
    msgspec.json.encode(positions)


def test_a_restored_directory_says_where_it_stands_and_belongs_to_the_server(shop: Shop, full: Kept) -> None:
    with shop.restored([full.stage()]) as data_dir:
        path = data_dir / POSITION_FILE
        assert json.loads(path.read_text()) == full.taken.positions
        assert path.stat().st_mode & 0o777 == 0o600
        assert {item.owner() for item in data_dir.rglob("*")} == {OWNER or path.owner()}
        assert data_dir.stat().st_mode & 0o777 == 0o700
        assert not (data_dir / "backup_manifest").exists()
    assert not shop.scratch.exists() or not list(shop.scratch.iterdir())


def test_a_server_on_restored_data_answers_beside_the_other(shop: Shop, full: Kept) -> None:
    with shop.restored([full.stage()]) as data_dir:
        with shop.shown(data_dir) as query:
            assert query("SELECT datname FROM pg_database WHERE datname = 'shop'") == [["shop"]]
        assert not processes(data_dir, "postgres")


@pytest.mark.parametrize("left", [0, 5, 600, 1_000_000, -100_000, -2048])
def test_a_truncated_stream_is_refused(shop: Shop, full: Kept, left: int) -> None:
    stage = full.stage(full.path.read_bytes()[:left])
    with pytest.raises(BaseInvalid) as refused, shop.restored([stage]):
        pass
    assert "\n" not in str(refused.value)
    assert not processes(shop.machine.directory, *PROGRAMS)


def test_a_stream_that_ends_between_two_files_is_refused(shop: Shop, full: Kept) -> None:
    content = full.path.read_bytes()
    whole = content[: content.rindex(b"backup_manifest\0")]
    with pytest.raises(BaseInvalid, match="ends too early"), shop.restored([full.stage(whole)]):
        pass


def test_a_damaged_file_is_found(shop: Shop, full: Kept) -> None:
    content = bytearray(full.path.read_bytes())
    # In the middle of a table: tar sees nothing.
    content[content.index(b"c4ca4238a0b923820dcc509a6f75849b")] ^= 1
    with pytest.raises(BaseInvalid, match="checksum mismatch"), shop.restored([full.stage(bytes(content))]):
        pass
    shop.machine.conf.set_override("verify", False, "pg_basebackup")
    try:
        with shop.restored([full.stage(bytes(content))]):
            pass
    finally:
        shop.machine.conf.clear_override("verify", "pg_basebackup")


def test_a_foreign_stream_is_refused(shop: Shop, full: Kept) -> None:
    with pytest.raises(BaseInvalid), shop.restored([full.stage(b"-- PostgreSQL database dump\n" * 1000)]):
        pass


def test_a_chain_is_refused(shop: Shop, full: Kept, strategy: PgBaseBackup) -> None:
    with pytest.raises(ChainBroken, match="backup 2 is a full one"), shop.restored([full.stage(), full.stage()]):
        pass
    with pytest.raises(NotSupported, match=r"incremental backup of PostgreSQL 15"), strategy.backup({"end_lsn": "0/0"}):
        pass


def senders(shop: Shop) -> list[list[object]]:
    """Who gives somebody a backup."""
    return shop.manager.connections.fetch(
        "Looking", "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walsender'"
    )


def see_the_server_ends(shop: Shop) -> None:
    eventually(lambda: not shop.slots() and not senders(shop), message="the server still works for it")


def test_a_backup_that_is_left_early_leaves_nothing(shop: Shop, strategy: PgBaseBackup) -> None:
    with strategy.backup(None) as source:
        assert source.read(1000)
        assert len(shop.slots()) == len(senders(shop)) == 1
    assert not list(shop.scratch.iterdir())
    see_the_server_ends(shop)


def test_a_backup_can_be_cancelled(shop: Shop, strategy: PgBaseBackup) -> None:
    shop.machine.conf.set_override("max_rate", 32, "pg_basebackup")
    try:
        with cancelled_once(), strategy.backup(None) as source:
            while source.read(1 << 20):
                pass
    finally:
        shop.machine.conf.clear_override("max_rate", "pg_basebackup")
    see_the_server_ends(shop)


def test_a_server_without_a_slot_is_told_in_a_sentence(shop: Shop, strategy: PgBaseBackup, tmp_path: Path) -> None:
    shop.manager.update_overrides(CONTEXT, {"max_replication_slots": 0})
    shop.manager.restart(CONTEXT)
    try:
        with pytest.raises(DatastoreError, match=r"base backup failed: .*slots are in use"):
            keep(strategy, tmp_path / "full.tar")
        shop.machine.conf.set_override("hold_wal", False, "pg_basebackup")
        assert keep(strategy, tmp_path / "full.tar").taken.positions
    finally:
        shop.machine.conf.clear_override("hold_wal", "pg_basebackup")
        shop.manager.update_overrides(CONTEXT, {})
        shop.manager.restart(CONTEXT)


def test_a_server_that_is_gone_is_told_in_a_sentence(shop: Shop, strategy: PgBaseBackup, tmp_path: Path) -> None:
    assert strategy.server.credentials
    text = strategy.server.credentials.read_text()
    strategy.server.credentials.write_text(text.replace("/run", "/gone"))
    with pytest.raises(DatastoreDown, match="No such file or directory"):
        keep(strategy, tmp_path / "full.tar")


def test_the_size_is_known_roughly(strategy: PgBaseBackup, tmp_path: Path) -> None:
    estimate = strategy.estimate()
    size = keep(strategy, tmp_path / "full.tar").path.stat().st_size
    assert estimate
    assert 0.6 * size < estimate < 1.2 * size
    assert strategy.needed([size]) > size


def test_no_secret_is_shown(strategy: PgBaseBackup, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Onlooker() as seen:
        keep(strategy, tmp_path / "full.tar")
    assert any(b"walsender" in line for line in seen), "the onlooker saw too little"
    assert not [line for line in seen if PASSWORD.encode() in line or b"SCRAM" in line]


def test_a_server_with_tablespaces_is_refused(shop: Shop, strategy: PgBaseBackup, tmp_path: Path) -> None:
    elsewhere = shop.machine.volume / "elsewhere"
    files.ensure_directory(elsewhere, mode=0o700, owner=OWNER, group=OWNER)
    shop.manager.connections.execute("Moving out", f"CREATE TABLESPACE elsewhere LOCATION '{elsewhere}'")
    try:
        with pytest.raises(NotSupported, match="tablespaces"):
            keep(strategy, tmp_path / "full.tar")
    finally:
        shop.manager.connections.execute("Moving back", "DROP TABLESPACE elsewhere")
    see_the_server_ends(shop)


def test_damage_of_a_page_is_told(
    shop: Shop, strategy: PgBaseBackup, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shop.ask("CREATE TABLE rotten AS SELECT g AS id FROM generate_series(1, 1000) g")
    [[place]] = shop.manager.connections.fetch("Looking", "SELECT oid FROM pg_database WHERE datname = 'shop'")
    [[file]] = shop.ask("SELECT CAST(pg_relation_filepath('rotten') AS text)")
    shop.manager.connections.execute("Writing", "CHECKPOINT")
    path = shop.manager.layout.data_dir / str(file)
    whole = path.read_bytes()
    path.write_bytes(whole[:4000] + b"rot" + whole[4003:])
    try:
        with pytest.raises(DatastoreError, match="checksum verification failure"):
            keep(strategy, tmp_path / "full.tar")
    finally:
        path.write_bytes(whole)
        shop.ask("DROP TABLE rotten")
    assert f'"./{file}"' in caplog.text or str(file) in caplog.text
    assert str(place) in caplog.text


def test_an_older_server_is_refused(strategy: PgBaseBackup) -> None:
    strategy.server = msgspec.structs.replace(strategy.server, version="14.9")
    with pytest.raises(NotSupported, match="a backup of PostgreSQL 14"), strategy.backup(None):
        pass
