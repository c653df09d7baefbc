"""mariadb-dump on a real server: what comes back, what is refused, and what is left behind."""

import json
import logging
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

if shutil.which("mariadb-dump") is None or shutil.which("mariadbd") is None:
    pytest.skip("MariaDB is not installed", allow_module_level=True)

from guestagent_mariadb_dump.errors import StreamInvalid
from guestagent_mariadb_dump.strategy import MariaDBDump

from guestagent.backup.base import POSITION_FILE
from guestagent.contract.errors import DatastoreError, GuestAgentError, NotSupported, SystemFailure
from tests.functional.strategies.databases import OWNER, SECRET, Shop, checksums, opened_shop, restored, shown
from tests.functional.strategies.kept import Kept, keep, processes, running
from tests.support.interruptions import cancelled_once
from tests.support.onlooker import Onlooker

PROGRAMS = ("mariadb-dump", "mariadb", "mariadbd")
QUIET = ("quiet", "old_engine", "pictures")
USERS = (
    "SELECT User, Host, JSON_VALUE(Priv, '$.authentication_string'), COALESCE(JSON_VALUE(Priv, '$.default_role'), ''), "
    # The first root of a server has the rights of all servers to come too.
    "IF(User = 'root', 'all', JSON_VALUE(Priv, '$.access')) FROM mysql.global_priv ORDER BY 1, 2"
)


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with opened_shop() as opened:
        opened.tell(
            "CREATE ROLE clerk",
            "GRANT SELECT ON shop.* TO clerk",
            "GRANT clerk TO keeper@'%'",
            "CREATE SEQUENCE shop.numbers START WITH 17",
            "CREATE EVENT shop.daily ON SCHEDULE EVERY 1 DAY DO SELECT 1",
            "CREATE SERVER elsewhere FOREIGN DATA WRAPPER mysql OPTIONS (HOST '192.0.2.1', PASSWORD 'Pattle-7-x')",
            "CREATE FUNCTION shop.one() RETURNS INT DETERMINISTIC RETURN 1",
            "GRANT EXECUTE ON FUNCTION shop.one TO keeper@'%'",
        )
        yield opened


@pytest.fixture
def strategy(shop: Shop) -> Iterator[MariaDBDump]:
    with shop.server() as server:
        yield MariaDBDump(shop.machine.conf, server)


@pytest.fixture(scope="module")
def dump(shop: Shop) -> Kept:
    with shop.server() as server:
        return keep(MariaDBDump(shop.machine.conf, server), shop.machine.directory / "dump.sql")


def test_a_backup_of_a_busy_server_holds_one_moment_of_it(shop: Shop, strategy: MariaDBDump, tmp_path: Path) -> None:
    with shop.busy():
        (least,) = shop.ask("SELECT COUNT(*) FROM shop.credit")
        kept = keep(strategy, tmp_path / "dump.sql")
        (most,) = shop.ask("SELECT COUNT(*) FROM shop.credit")

    with restored(MariaDBDump, shop, [kept.stage()]) as data_dir, shown(data_dir, shop.run_dir) as server:
        assert checksums(server, QUIET) == checksums(shop, QUIET)
        (got,) = server.ask("SELECT COUNT(*) FROM shop.credit")
        assert least <= got <= most
        assert server.ask("SELECT id, amount FROM shop.credit") == server.ask("SELECT id, amount FROM shop.debit")


def test_everything_comes_back(shop: Shop, dump: Kept) -> None:
    with restored(MariaDBDump, shop, [dump.stage()]) as data_dir:
        with shown(data_dir, shop.run_dir) as server:
            assert server.ask("CALL shop.greet()", database="shop") == (("hallo",),)
            assert server.ask("SELECT shop.one(), NEXT VALUE FOR shop.numbers") == ((1, 17),)
            assert server.ask("SELECT COUNT(*) FROM shop.names") == ((20000,),)
            assert server.ask("SELECT Password FROM mysql.servers") == (("Pattle-7-x",),)
            for statement in (
                "SELECT TRIGGER_NAME, ACTION_STATEMENT, DEFINER FROM information_schema.TRIGGERS",
                "SELECT db, name, status, definer FROM mysql.event",
                USERS,
                "SELECT * FROM mysql.roles_mapping ORDER BY 1, 2, 3",
                "SELECT Db, User, Host, Select_priv FROM mysql.db ORDER BY 1, 2, 3",
                "SELECT Db, User, Host, Routine_name, Proc_priv FROM mysql.procs_priv",
                "SHOW DATABASES",
            ):
                assert server.ask(statement) == shop.ask(statement), statement
        assert {path.owner() for path in data_dir.rglob("*")} == {OWNER or data_dir.owner()}
        assert json.loads((data_dir / POSITION_FILE).read_text()) == dump.taken.positions
    assert not list(shop.scratch.iterdir())
    assert not processes(shop.scratch, *PROGRAMS)


def test_positions_say_where_a_replica_goes_on(shop: Shop, strategy: MariaDBDump, tmp_path: Path) -> None:
    began = time.time()
    taken = keep(strategy, tmp_path / "dump.sql").taken

    ((file, position, *_),) = shop.ask("SHOW MASTER STATUS")
    assert taken.positions == {
        "binlog": {"file": file, "position": position},
        "gtid": shop.ask("SELECT @@gtid_binlog_pos")[0][0],
        "server_version": shop.ask("SELECT VERSION()")[0][0],
    }
    assert began < taken.ended < time.time()


def test_a_backup_cannot_build_on_another(shop: Shop, strategy: MariaDBDump, dump: Kept) -> None:
    with pytest.raises(NotSupported, match="incremental"), strategy.backup(dump.taken.positions):
        pass
    for stages in ([], [dump.stage(), dump.stage()]):
        with pytest.raises(NotSupported, match="incremental"), restored(MariaDBDump, shop, stages):
            pass


@pytest.mark.parametrize("left", [0, 10, 300, 400_000, -500_000, -60, -20, -1])
def test_a_truncated_stream_is_refused(shop: Shop, dump: Kept, left: int) -> None:
    stage = dump.stage(dump.path.read_bytes()[:left])
    with (
        pytest.raises(StreamInvalid, match=r"ends too early|is empty|none of mariadb-dump"),
        restored(MariaDBDump, shop, [stage]),
    ):
        pass
    assert not list(shop.scratch.iterdir())
    assert not processes(shop.scratch, *PROGRAMS)


def test_a_foreign_stream_is_refused(shop: Shop, dump: Kept) -> None:
    stage = dump.stage(b"XBSTCK01" + bytes(1000))
    with pytest.raises(StreamInvalid, match="none of mariadb-dump"), restored(MariaDBDump, shop, [stage]):
        pass


def test_what_the_server_refuses_is_told_without_the_data(shop: Shop, dump: Kept) -> None:
    content = dump.path.read_bytes().replace(b"INSERT INTO `old_engine`", b"INSERT INTO `Pattle-no-such`", 1)
    with (
        pytest.raises(StreamInvalid, match=r"the server refused it: error 1\d\d\d") as refused,
        restored(MariaDBDump, shop, [dump.stage(content)]),
    ):
        pass
    assert "Pattle-no-such" not in str(refused.value)


def test_a_backup_that_is_left_early_leaves_nothing(shop: Shop, strategy: MariaDBDump) -> None:
    with strategy.backup(None) as source:
        assert source.read(1000)
        assert running(shop.machine.directory, "mariadb-dump")
    assert not processes(shop.machine.directory, "mariadb-dump")


def test_a_restore_can_be_cancelled(shop: Shop, dump: Kept) -> None:
    def begun() -> bool:
        return bool(processes(shop.scratch, "mariadb"))

    with cancelled_once(begun), restored(MariaDBDump, shop, [dump.stage()]):
        pass
    assert not list(shop.scratch.iterdir())
    assert not processes(shop.scratch, *PROGRAMS)


def test_a_server_that_is_gone_is_told_in_a_sentence(shop: Shop, strategy: MariaDBDump, tmp_path: Path) -> None:
    assert strategy.server.credentials
    text = strategy.server.credentials.read_text()
    strategy.server.credentials.write_text(text.replace(".sock", ".gone"))
    with pytest.raises(SystemFailure, match="Can't connect to local server"):
        keep(strategy, tmp_path / "dump.sql")


@pytest.mark.parametrize("option", ["client_program", "server_program", "install_program"])
def test_a_program_that_is_missing_is_named(shop: Shop, dump: Kept, option: str) -> None:
    shop.machine.conf.set_override(option, "/usr/bin/mariadb-missing", "mariadb_dump")
    try:
        with (
            pytest.raises(GuestAgentError, match=r"such program|No such file"),
            restored(MariaDBDump, shop, [dump.stage()]),
        ):
            pass
    finally:
        shop.machine.conf.clear_override(option, "mariadb_dump")


def test_options_shape_the_data_directory(shop: Shop, dump: Kept) -> None:
    shop.machine.conf.set_override("server_options", ["innodb_page_size=32k"], "mariadb_dump")
    try:
        with (
            restored(MariaDBDump, shop, [dump.stage()]) as data_dir,
            shown(data_dir, shop.run_dir, "--innodb-page-size=32k") as server,
        ):
            assert checksums(server, QUIET) == checksums(shop, QUIET)
        shop.machine.conf.set_override("server_options", ["no_such_option=1"], "mariadb_dump")
        with pytest.raises(DatastoreError, match="no_such_option"), restored(MariaDBDump, shop, [dump.stage()]):
            pass
    finally:
        shop.machine.conf.clear_override("server_options", "mariadb_dump")


def test_no_secret_is_shown(
    shop: Shop, strategy: MariaDBDump, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with Onlooker() as seen:
        kept = keep(strategy, tmp_path / "dump.sql")
        with restored(MariaDBDump, shop, [kept.stage()]):
            pass
    assert any(b"mariadb-dump" in line for line in seen), "the onlooker saw too little"
    digest = shop.ask("SELECT PASSWORD('" + SECRET + "')")[0][0]
    for secret in (shop.manager.administrator.password(), SECRET, digest, "Pattle-7-x"):
        assert not [line for line in seen if secret.encode() in line]
        assert secret not in caplog.text + str(kept.taken)


def test_both_strategies_can_be_in_one_image(shop: Shop, dump: Kept, tmp_path: Path) -> None:
    from guestagent_mariabackup.strategy import MariaBackup

    if shutil.which("mariadb-backup") is None:
        pytest.skip("mariadb-backup is not installed")
    with shop.server() as server:
        files = MariaBackup(shop.machine.conf, server)
        statements = MariaDBDump(shop.machine.conf, server)
        with files.backup(None) as one, statements.backup(None) as other:
            assert one.read(100)
            assert other.read(100)
        kept = keep(files, tmp_path / "full.xb")
    for kind, stage in ((MariaBackup, kept.stage()), (MariaDBDump, dump.stage())):
        with restored(kind, shop, [stage]) as data_dir, shown(data_dir, shop.run_dir) as shows:
            assert checksums(shows, QUIET) == checksums(shop, QUIET)
