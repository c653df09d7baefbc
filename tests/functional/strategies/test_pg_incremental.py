"""Backups of PostgreSQL 17 that build on each other: what comes back, what is refused, and what is kept for it."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from guestagent_pg_basebackup.errors import BaseInvalid
from guestagent_pg_basebackup.strategy import PgBaseBackup

from guestagent.backup.base import ChainBroken, Stage
from guestagent.conformance.poll import eventually
from guestagent.contract.errors import SystemFailure
from tests.functional.strategies.cluster import Shop, opened
from tests.functional.strategies.kept import Kept, keep, processes
from tests.support.machine import CONTEXT
from tests.support.newer_postgresql import MAJOR, versions_dir

PROGRAMS = ("pg_combinebackup", "pg_verifybackup", "tar")
SUMMARIES = "pg_wal/summaries"


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with opened(str(MAJOR), versions_dir=versions_dir()) as made:
        made.ask("CREATE TABLE stock AS SELECT g AS id, repeat('x', 500) AS name FROM generate_series(1, 60000) g")
        made.ask("CREATE TABLE days (day int)")
        yield made


@pytest.fixture
def strategy(shop: Shop) -> Iterator[PgBaseBackup]:
    with shop.strategy() as made:
        yield made


@pytest.fixture(scope="module")
def chain(shop: Shop) -> Sequence[Kept]:
    """A full backup and two increments; each day something is written, changed, removed and made anew."""
    made: list[Kept] = []
    for day in (1, 2, 3):
        shop.ask(f"INSERT INTO days VALUES ({day})")
        shop.ask(f"UPDATE stock SET name = 'day {day}' WHERE id % 5000 = {day}")
        shop.ask(f"DROP TABLE IF EXISTS day{day - 1}; CREATE TABLE day{day} AS SELECT {day} AS day")
        # Its increment has fewer blocks than what it builds on.
        shop.ask("DELETE FROM quiet WHERE id > 10000" if day == 2 else "SELECT 1")
        shop.manager.connections.execute("Tidying", "CHECKPOINT")
        with shop.strategy() as strategy:
            made.append(keep(strategy, shop.machine.directory / f"day{day}.tar", made[-1] if made else None))
    return made


def kept_manifests(shop: Shop) -> list[Path]:
    """Those on the volume, the one that was used last at the end."""
    found = shop.manager.layout.lasting_backup_dir.iterdir()
    return sorted(found, key=lambda path: path.stat().st_mtime_ns)


@contextlib.contextmanager
def option(shop: Shop, name: str, value: object) -> Iterator[None]:
    shop.machine.conf.set_override(name, value, "pg_basebackup")
    try:
        yield
    finally:
        shop.machine.conf.clear_override(name, "pg_basebackup")


@pytest.mark.parametrize("days", [1, 2, 3])
def test_each_day_of_a_chain_is_restored(shop: Shop, chain: Sequence[Kept], days: int) -> None:
    with shop.restored([one.stage() for one in chain[:days]]) as data_dir:
        assert not (data_dir / "backup_manifest").exists()
        with shop.shown(data_dir) as query:
            rows = query(
                "\\c shop SELECT (SELECT string_agg(CAST(day AS text), ',' ORDER BY day) FROM days),"
                " (SELECT count(*) FROM quiet), (SELECT count(*) FROM stock),"
                " (SELECT string_agg(DISTINCT name, ',' ORDER BY name) FROM stock WHERE name LIKE 'day%'),"
                " (SELECT string_agg(relname, ',') FROM pg_class WHERE relname ~ '^day[0-9]$')"
            )
    numbers = [str(day) for day in range(1, days + 1)]
    names = ",".join(f"day {day}" for day in numbers)
    assert rows == [[",".join(numbers), "20000" if days == 1 else "10000", "60000", names, f"day{days}"]]
    assert not shop.scratch.exists() or not list(shop.scratch.iterdir())
    assert not processes(shop.machine.directory, *PROGRAMS)


def test_an_increment_has_less_in_it_and_says_what_it_builds_on(chain: Sequence[Kept]) -> None:
    full, *increments = chain
    assert "parent_manifest" not in full.taken.positions
    for before, here in zip(chain, increments, strict=False):
        assert here.taken.positions["parent_manifest"] == before.taken.positions["manifest"]
        # Beside the changed blocks it has the log, a file of 16 MiB or two.
        assert here.path.stat().st_size < full.path.stat().st_size - (16 << 20)


def test_two_can_build_on_the_same_one(
    shop: Shop, chain: Sequence[Kept], strategy: PgBaseBackup, tmp_path: Path
) -> None:
    other = keep(strategy, tmp_path / "other.tar", chain[0])
    with shop.restored([chain[0].stage(), other.stage()]) as data_dir, shop.shown(data_dir) as query:
        assert query("\\c shop SELECT count(*) FROM days") == [["3"]]


@pytest.mark.parametrize(
    ("order", "problem"),
    [
        ((), "there is no backup in it"),
        ((1,), "backup 1 is an incremental one"),
        ((0, 0), "backup 2 is a full one"),
        ((0, 2), "backup 2 does not build on the one before it"),
        ((0, 1, 1), "backup 3 does not build on the one before it"),
    ],
)
def test_a_broken_chain_is_refused_before_it_is_read(
    shop: Shop, chain: Sequence[Kept], order: Sequence[int], problem: str
) -> None:
    def unread() -> Iterator[bytes]:
        raise AssertionError("it was read")
        yield b""

    stages = [Stage(unread(), chain[at].taken.positions, chain[at].incremental) for at in order]
    with pytest.raises(ChainBroken, match=problem), shop.restored(stages):
        pass


@pytest.mark.parametrize("at", [0, 1, 2])
def test_the_stream_of_another_backup_is_refused(shop: Shop, chain: Sequence[Kept], at: int) -> None:
    stages = [one.stage() for one in chain]
    stages[at] = dataclasses.replace(chain[at], path=chain[at - 1].path).stage()
    with pytest.raises(BaseInvalid, match="that of another one"), shop.restored(stages):
        pass
    assert not list(shop.scratch.iterdir())


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_truncated_stream_is_refused(shop: Shop, chain: Sequence[Kept], at: int) -> None:
    stages = [one.stage() for one in chain]
    stages[at] = chain[at].stage(chain[at].path.read_bytes()[:-100_000])
    with pytest.raises(BaseInvalid), shop.restored(stages):
        pass
    assert not list(shop.scratch.iterdir())


def test_a_damaged_increment_is_found(shop: Shop, chain: Sequence[Kept]) -> None:
    content = bytearray(chain[1].path.read_bytes())
    # In the middle of a block of a table: tar sees nothing.
    content[content.index(b"day 2")] ^= 1
    stages = [chain[0].stage(), chain[1].stage(bytes(content))]
    with pytest.raises(BaseInvalid, match="checksum mismatch"), shop.restored(stages):
        pass


def test_another_agent_goes_on_with_the_chain(shop: Shop, chain: Sequence[Kept], tmp_path: Path) -> None:
    other = Shop(shop.machine, shop.version)
    try:
        with other.strategy() as strategy:
            last = keep(strategy, tmp_path / "last.tar", chain[-1])
    finally:
        other.manager.connections.close()
    with shop.restored([*(one.stage() for one in chain), last.stage()]) as data_dir, shop.shown(data_dir) as query:
        assert query("\\c shop SELECT count(*) FROM days") == [["3"]]


def test_only_so_many_manifests_stay_and_those_in_use_do(
    shop: Shop, chain: Sequence[Kept], strategy: PgBaseBackup, tmp_path: Path
) -> None:
    with option(shop, "kept_manifests", 2):
        used = keep(strategy, tmp_path / "used.tar")
        for _ in range(2):
            last = keep(strategy, tmp_path / "increment.tar", used)
        expected = [one.taken.positions["manifest"] for one in (used, last)]
        assert [path.name for path in kept_manifests(shop)] == expected
        with pytest.raises(ChainBroken, match="not on this volume any more; make a full one"):
            keep(strategy, tmp_path / "increment.tar", chain[0])
    # The account can read what it is to build on, and change nothing of it.
    path = kept_manifests(shop)[0]
    if strategy.server.account:
        assert (path.owner(), path.group()) == ("root", strategy.server.account)
        assert path.stat().st_mode & 0o777 == 0o640


def test_a_backup_that_comes_to_nothing_is_not_built_on(
    shop: Shop, chain: Sequence[Kept], strategy: PgBaseBackup
) -> None:
    before = kept_manifests(shop)
    with strategy.backup(None) as source:
        assert source.read(1000)
    assert kept_manifests(shop) == before
    assert not list(shop.scratch.iterdir())


def test_a_volume_that_refuses_is_told_in_a_sentence(shop: Shop, strategy: PgBaseBackup, tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    strategy.server = msgspec.structs.replace(strategy.server, lasting_dir=in_the_way / "kept")
    with pytest.raises(SystemFailure, match="Keeping the server's manifest of the backup failed: Not a directory"):
        keep(strategy, tmp_path / "full.tar")


def test_what_the_server_cannot_tell_any_more_asks_for_a_full_one(
    shop: Shop, strategy: PgBaseBackup, tmp_path: Path
) -> None:
    full = keep(strategy, tmp_path / "full.tar")
    shop.manager.connections.execute("Going on", "CHECKPOINT")
    told = f"SELECT summarized_lsn > '{full.taken.positions['end_lsn']}' FROM pg_get_wal_summarizer_state()"
    eventually(lambda: shop.manager.connections.fetch("Looking", told) == [[True]], message="nothing is summarized")
    for path in (shop.manager.layout.data_dir / SUMMARIES).iterdir():
        path.unlink()
    with pytest.raises(ChainBroken, match=r"summaries .*; make a full one"):
        keep(strategy, tmp_path / "increment.tar", full)
    again = keep(strategy, tmp_path / "full.tar")
    assert keep(strategy, tmp_path / "increment.tar", again).taken.positions


def test_a_server_that_was_told_not_to_look_says_so(shop: Shop, strategy: PgBaseBackup, tmp_path: Path) -> None:
    full = keep(strategy, tmp_path / "full.tar")
    shop.manager.update_overrides(CONTEXT, {"summarize_wal": False})
    shop.manager.apply_overrides(CONTEXT, {"summarize_wal": False})
    try:
        with pytest.raises(ChainBroken, match="unless WAL summarization is enabled"):
            keep(strategy, tmp_path / "increment.tar", full)
    finally:
        shop.manager.update_overrides(CONTEXT, {})
        shop.manager.apply_overrides(CONTEXT, {})
