"""mariadb-backup on a real server: what comes back, what is refused, and what is left behind."""

import json
import logging
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

if shutil.which("mariadb-backup") is None or shutil.which("mariadbd") is None:
    pytest.skip("mariadb-backup is not installed", allow_module_level=True)

from guestagent_mariabackup.errors import StreamInvalid
from guestagent_mariabackup.strategy import MariaBackup

from guestagent.backup.base import POSITION_FILE, ChainBroken, Stage
from guestagent.contract.errors import GuestAgentError, SystemFailure
from tests.functional.strategies.databases import OWNER, SECRET, Shop, checksums, opened_shop, restored, shown
from tests.functional.strategies.kept import Kept, keep, processes, running
from tests.support.interruptions import cancelled_once
from tests.support.onlooker import Onlooker

PROGRAMS = ("mariadb-backup", "mbstream")


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with opened_shop() as opened:
        yield opened


@pytest.fixture
def strategy(shop: Shop) -> Iterator[MariaBackup]:
    with shop.server() as server:
        yield MariaBackup(shop.machine.conf, server)


@pytest.fixture(scope="module")
def chain(shop: Shop) -> list[Kept]:
    """A full backup and three that build on each other, with changes of every kind between them."""
    changes = [
        ["INSERT INTO shop.debit (amount) SELECT seq FROM shop.seq_1_to_5000"],
        [
            "UPDATE shop.pictures SET content = REVERSE(content)",
            "CREATE TABLE shop.late (id INT PRIMARY KEY) SELECT seq AS id FROM shop.seq_1_to_1000",
            "INSERT INTO shop.old_engine VALUES (1000, 'late')",
        ],
        ["ALTER TABLE shop.late ADD COLUMN word TEXT DEFAULT 'new'", "DROP TABLE IF EXISTS shop.gone"],
    ]
    shop.tell("CREATE TABLE shop.gone (id INT)")
    with shop.server() as server:
        strategy = MariaBackup(shop.machine.conf, server)
        made = [keep(strategy, shop.machine.directory / "0.xb")]
        for number, statements in enumerate(changes, 1):
            # Else they might all begin at the first one's checkpoint, as the last two do.
            shop.tell(*statements, *(["SET GLOBAL innodb_log_checkpoint_now = 1"] if number < 3 else []))
            made.append(keep(strategy, shop.machine.directory / f"{number}.xb", made[-1]))
    return made


def test_a_backup_of_a_busy_server_holds_one_moment_of_it(shop: Shop, strategy: MariaBackup, tmp_path: Path) -> None:
    quiet = ("quiet", "old_engine", "pictures")
    before = checksums(shop, quiet)
    with shop.busy():
        (least,) = shop.ask("SELECT COUNT(*) FROM shop.credit")
        kept = keep(strategy, tmp_path / "full.xb")
        (most,) = shop.ask("SELECT COUNT(*) FROM shop.credit")

    with restored(MariaBackup, shop, [kept.stage()]) as data_dir, shown(data_dir, shop.run_dir) as server:
        assert checksums(server, quiet) == before
        (got,) = server.ask("SELECT COUNT(*) FROM shop.credit")
        assert least <= got <= most
        assert server.ask("SELECT id, amount FROM shop.credit") == server.ask("SELECT id, amount FROM shop.debit")
        assert server.ask("CALL shop.greet()", database="shop") == (("hallo",),)


def test_a_chain_ends_where_its_last_backup_was_made(shop: Shop, chain: list[Kept]) -> None:
    tables = ("quiet", "debit", "credit", "old_engine", "pictures", "late")
    with restored(MariaBackup, shop, [kept.stage() for kept in chain]) as data_dir:
        left = {path.name for path in data_dir.iterdir()}
        with shown(data_dir, shop.run_dir) as server:
            assert checksums(server, tables) == checksums(shop, tables)
            assert server.ask("SELECT COUNT(*) FROM shop.late WHERE word = 'new'") == ((1000,),)
            assert ("gone",) not in server.ask("SHOW TABLES FROM shop")
    assert "ibdata1" in left
    assert POSITION_FILE in left
    assert not {name for name in left if name.startswith(("xtrabackup", "mariadb_backup", "backup-my"))}
    assert not list(shop.scratch.iterdir())


def test_a_chain_that_another_agent_made_is_checked_while_it_is_unpacked(shop: Shop, chain: list[Kept]) -> None:
    def foreign(*order: int) -> list[Stage]:
        return [Stage(chain[at].stage().chunks, {}, chain[at].incremental) for at in order]

    with restored(MariaBackup, shop, foreign(0, 1)) as data_dir:
        assert json.loads((data_dir / POSITION_FILE).read_text()) == chain[1].taken.positions
    with pytest.raises(ChainBroken, match="backup 2 begins at"), restored(MariaBackup, shop, foreign(0, 2)):
        pass


def test_a_chain_can_end_earlier(shop: Shop, chain: list[Kept]) -> None:
    with (
        restored(MariaBackup, shop, [kept.stage() for kept in chain[:2]]) as data_dir,
        shown(data_dir, shop.run_dir) as server,
    ):
        assert {("gone",)} <= set(server.ask("SHOW TABLES FROM shop"))
        assert ("late",) not in server.ask("SHOW TABLES FROM shop")


def test_an_incremental_backup_is_small(chain: list[Kept]) -> None:
    sizes = [kept.path.stat().st_size for kept in chain]
    assert sizes[-1] < sizes[0]


def test_positions_say_where_a_replica_goes_on(shop: Shop, strategy: MariaBackup, tmp_path: Path) -> None:
    began = time.time()
    taken = keep(strategy, tmp_path / "full.xb").taken

    ((file, position, *_),) = shop.ask("SHOW MASTER STATUS")
    assert taken.positions["binlog"] == {"file": file, "position": position}
    assert taken.positions["gtid"] == shop.ask("SELECT @@gtid_binlog_pos")[0][0]
    assert taken.positions["gtid"].startswith("3-7-")
    assert taken.positions["server_version"] == shop.ask("SELECT VERSION()")[0][0]
    assert taken.positions["from_lsn"] == 0
    assert 0 < taken.positions["lsn"] <= taken.positions["last_lsn"]
    assert int(began) <= taken.ended <= time.time()


def test_a_restored_directory_says_where_it_stands(shop: Shop, chain: list[Kept]) -> None:
    with restored(MariaBackup, shop, [kept.stage() for kept in chain[:2]]) as data_dir:
        path = data_dir / POSITION_FILE
        assert json.loads(path.read_text()) == chain[1].taken.positions
        assert path.stat().st_mode & 0o777 == 0o600
        assert {item.owner() for item in data_dir.rglob("*")} == {OWNER or path.owner()}


@pytest.mark.parametrize(
    ("order", "problem"),
    [
        ([1], "backup 1 is an incremental one"),
        ([0, 0], "backup 2 is a full one"),
        ([0, 2], "begins at"),
        ([0, 1, 3], "begins at"),
        ([0, 2, 1], "begins at"),
        ([], "no backup"),
    ],
)
def test_a_chain_in_a_wrong_order_is_refused_unread(
    shop: Shop, chain: list[Kept], order: list[int], problem: str
) -> None:
    def unread() -> Iterator[bytes]:
        raise AssertionError("it was read")
        yield b""

    stages = [Stage(unread(), chain[at].taken.positions, chain[at].incremental) for at in order]
    with pytest.raises(ChainBroken, match=problem), restored(MariaBackup, shop, stages):
        pass


def test_a_stream_of_another_backup_is_refused(shop: Shop, chain: list[Kept]) -> None:
    stages = [chain[0].stage(), chain[1].stage(chain[2].path.read_bytes())]
    with pytest.raises(StreamInvalid, match="2 of the chain"), restored(MariaBackup, shop, stages):
        pass


@pytest.mark.parametrize("left", [0, 5, 40, 1_000_000, -100_000, -1])
def test_a_truncated_stream_is_refused(shop: Shop, chain: list[Kept], left: int) -> None:
    stage = chain[0].stage(chain[0].path.read_bytes()[:left])
    with (
        pytest.raises(StreamInvalid, match=r"ends too early|is empty|none of mariadb-backup") as refused,
        restored(MariaBackup, shop, [stage]),
    ):
        pass
    assert "\n" not in str(refused.value)
    assert not list(shop.scratch.iterdir())
    assert not processes(shop.machine.directory, *PROGRAMS)


def test_a_stream_that_ends_between_two_pieces_is_refused(shop: Shop, chain: list[Kept]) -> None:
    content = chain[0].path.read_bytes()
    whole = content[: content.rindex(b"XBSTCK01", 0, content.index(b"xtrabackup_info"))]
    with pytest.raises(StreamInvalid, match="ends too early"), restored(MariaBackup, shop, [chain[0].stage(whole)]):
        pass


def test_a_damaged_stream_is_refused(shop: Shop, chain: list[Kept]) -> None:
    content = bytearray(chain[0].path.read_bytes())
    content[2_000_000] ^= 1
    with (
        pytest.raises(StreamInvalid, match="unpacking its stream failed"),
        restored(MariaBackup, shop, [chain[0].stage(bytes(content))]),
    ):
        pass


def test_a_foreign_stream_is_refused(shop: Shop, chain: list[Kept]) -> None:
    with (
        pytest.raises(StreamInvalid, match="none of mariadb-backup"),
        restored(MariaBackup, shop, [chain[0].stage(b"-- MariaDB dump 10.19\n" * 1000)]),
    ):
        pass


def test_a_backup_that_is_left_early_leaves_nothing(shop: Shop, strategy: MariaBackup) -> None:
    with strategy.backup(None) as source:
        assert source.read(1000)
        assert running(shop.machine.directory, *PROGRAMS)
        assert list(shop.scratch.iterdir())
    assert not processes(shop.machine.directory, *PROGRAMS)
    assert not list(shop.scratch.iterdir())
    # Nor does it hold up the server.
    shop.tell("CREATE TABLE shop.afterwards (id INT)", "DROP TABLE shop.afterwards")


def test_a_backup_can_be_cancelled(shop: Shop, strategy: MariaBackup) -> None:
    shop.tell("LOCK TABLES shop.quiet WRITE")
    try:
        with cancelled_once(), strategy.backup(None) as source:
            while source.read(1 << 20):
                pass
    finally:
        shop.tell("UNLOCK TABLES")
    assert not processes(shop.machine.directory, *PROGRAMS)
    assert not list(shop.scratch.iterdir())


def test_a_server_that_went_back_is_noticed(shop: Shop, strategy: MariaBackup, chain: list[Kept]) -> None:
    ahead = {**chain[0].taken.positions, "lsn": chain[0].taken.positions["lsn"] + (1 << 40)}
    with strategy.backup(ahead) as source:
        while source.read(1 << 20):
            pass
        with pytest.raises(ChainBroken, match="make a full one"):
            source.finish()


def test_a_backup_of_another_strategy_cannot_be_built_on(strategy: MariaBackup) -> None:
    with pytest.raises(ChainBroken, match="says nothing of where"), strategy.backup({"gtid": "0-1-2"}):
        pass


def test_a_server_that_is_gone_is_told_in_a_sentence(shop: Shop, strategy: MariaBackup, tmp_path: Path) -> None:
    assert strategy.server.credentials
    text = strategy.server.credentials.read_text()
    strategy.server.credentials.write_text(text.replace(".sock", ".gone"))
    with pytest.raises(SystemFailure, match=r"mariadb-backup failed: .*Failed to connect"):
        keep(strategy, tmp_path / "full.xb")


@pytest.mark.parametrize("option", ["program", "unpack_program"])
def test_a_program_that_is_missing_is_named(shop: Shop, chain: list[Kept], option: str) -> None:
    shop.machine.conf.set_override(option, "/usr/bin/mariadb-missing", "mariabackup")
    try:
        with (
            pytest.raises(SystemFailure, match=r"mariadb-missing failed: .*no such program"),
            restored(MariaBackup, shop, [chain[0].stage()]),
        ):
            pass
    finally:
        shop.machine.conf.clear_override(option, "mariabackup")


def test_the_size_is_known_roughly(strategy: MariaBackup, tmp_path: Path) -> None:
    estimate = strategy.estimate()
    size = keep(strategy, tmp_path / "full.xb").path.stat().st_size
    assert estimate
    assert 0.8 * size < estimate < 1.2 * size
    assert strategy.needed([size]) > size


def test_options_reach_the_program(shop: Shop, strategy: MariaBackup, chain: list[Kept], tmp_path: Path) -> None:
    log = tmp_path / "said.log"
    settings = {"throttle": 5000, "parallel": 2, "use_memory": 64, "log_file": str(log)}
    for name, value in settings.items():
        shop.machine.conf.set_override(name, value, "mariabackup")
    try:
        with strategy.backup(None):
            (argv,) = running(shop.machine.directory, "mariadb-backup")
        assert {"--throttle=5000", "--parallel=2"} <= set(argv)
        with restored(MariaBackup, shop, [chain[0].stage(), chain[1].stage()]):
            said = log.read_text()
        assert said.count("completed OK!") == 2
        assert log.stat().st_mode & 0o777 == 0o600
    finally:
        for name in settings:
            shop.machine.conf.clear_override(name, "mariabackup")


def test_no_secret_is_shown(
    shop: Shop, strategy: MariaBackup, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    log = tmp_path / "said.log"
    shop.machine.conf.set_override("log_file", str(log), "mariabackup")
    try:
        with Onlooker() as seen:
            kept = keep(strategy, tmp_path / "full.xb")
            said = log.read_text()
            with restored(MariaBackup, shop, [kept.stage()]):
                said += log.read_text()
        with pytest.raises(GuestAgentError) as failed, restored(MariaBackup, shop, [kept.stage(b"XBSTCK01?")]):
            pass
    finally:
        shop.machine.conf.clear_override("log_file", "mariabackup")
    assert any(b"mariadb-backup" in line for line in seen), "the onlooker saw too little"
    for secret in (shop.manager.administrator.password(), SECRET):
        assert not [line for line in seen if secret.encode() in line]
        assert secret not in caplog.text + said + str(failed.value) + str(kept.taken)
