"""What mariadb-backup notes beside a backup, and what is kept of it."""

import time
from pathlib import Path

import msgspec
import pytest
from guestagent_mariabackup.positions import Binlog, Notes, Positions, left_overs

from guestagent.contract.errors import DatastoreError

CHECKPOINTS = """backup_type = full-backuped
from_lsn = 0
to_lsn = 44404
last_lsn = 18446744073709551615
recover_binlog_info = 0
"""
INFO = """uuid = 99bd9f6e-e9ab-11f1-8077-02fc00000001
name =
tool_command = --defaults-file=/a = b --backup
server_version = 10.11.19-MariaDB-0+deb12u1-log
start_time = 2026-11-26 15:11:04
end_time = 2026-11-26 15:11:05
binlog_pos = {binlog}
incremental = N
"""
PLACE = "filename 'b.000001', position '211661', GTID of the last change '0-3-9,1-4-2'"


def notes(directory: Path, *, prefix: str = "xtrabackup_", binlog: str = PLACE) -> Notes:
    (directory / f"{prefix}checkpoints").write_text(CHECKPOINTS)
    (directory / f"{prefix}info").write_text(INFO.format(binlog=binlog))
    return Notes(directory)


@pytest.mark.parametrize("prefix", ["xtrabackup_", "mariadb_backup_"])
def test_notes_are_read_under_both_names(tmp_path: Path, prefix: str) -> None:
    assert notes(tmp_path, prefix=prefix).positions() == Positions(
        lsn=44404,
        from_lsn=0,
        last_lsn=18446744073709551615,
        server_version="10.11.19-MariaDB-0+deb12u1-log",
        binlog=Binlog("b.000001", 211661),
        gtid="0-3-9,1-4-2",
    )


@pytest.mark.parametrize(
    ("binlog", "gtid"),
    [
        ("filename 'b.1', position '4', GTID of the last change ''", None),
        ("filename 'b.1', position '4'", None),
        ("filename 'b.1', position '4', GTID of the last change '0-1-1'", "0-1-1"),
    ],
)
def test_a_server_without_a_transaction_has_no_gtid(tmp_path: Path, binlog: str, gtid: str | None) -> None:
    found = notes(tmp_path, binlog=binlog).positions()
    assert (found.binlog, found.gtid) == (Binlog("b.1", 4), gtid)


def test_a_server_without_a_binary_log_has_no_place_in_it(tmp_path: Path) -> None:
    found = notes(tmp_path, binlog="").positions()
    assert (found.binlog, found.gtid) == (None, None)
    assert set(found.kept()) == {"lsn", "from_lsn", "last_lsn", "server_version"}


def test_times_are_of_no_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Chatham")
    time.tzset()
    assert notes(tmp_path).ended() == 1795705865.0
    monkeypatch.undo()
    time.tzset()


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    found = notes(tmp_path).positions()
    assert Positions.recalled(found.kept()) == found


@pytest.mark.parametrize("kept", [{}, {"gtid": "0-1-2"}, {"lsn": "1", "from_lsn": 0, "last_lsn": 1}])
def test_what_another_strategy_kept_is_no_position(kept: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        Positions.recalled(kept)


@pytest.mark.parametrize("text", ["", "to_lsn = many\nfrom_lsn = 0\nlast_lsn = 1\n"])
def test_notes_that_cannot_be_read_are_told(tmp_path: Path, text: str) -> None:
    found = notes(tmp_path)
    (tmp_path / "xtrabackup_checkpoints").write_text(text)
    found = Notes(tmp_path)
    with pytest.raises(DatastoreError, match="xtrabackup_checkpoints"):
        found.positions()
    (tmp_path / "xtrabackup_info").unlink()
    with pytest.raises(DatastoreError, match="xtrabackup_info"):
        Notes(tmp_path)


def test_left_overs_are_files_of_the_program_alone(tmp_path: Path) -> None:
    notes(tmp_path)
    (tmp_path / "xtrabackup_is_a_database").mkdir()
    for name in ("ibdata1", "backup-my.cnf", "xtrabackup_binlog_pos_innodb", "mariadb_backup_binlog_info"):
        (tmp_path / name).touch()
    assert {path.name for path in left_overs(tmp_path)} == {
        "backup-my.cnf",
        "mariadb_backup_binlog_info",
        "xtrabackup_binlog_pos_innodb",
        "xtrabackup_checkpoints",
        "xtrabackup_info",
    }
