"""What the strategy makes of positions, names and points, without a server."""

from pathlib import Path
from typing import Any

import pytest
from guestagent_mariadb_binlog.errors import BinaryLogEncrypted, BinaryLogFiltered, NoBinaryLog
from guestagent_mariadb_binlog.strategy import MariaDBBinlog
from oslo_config import cfg

from guestagent.backup.archive import Point
from guestagent.backup.base import Server
from guestagent.contract.errors import GuestAgentError, InvalidValue

BACKUP: dict[str, Any] = {"binlog": {"file": "binlog.000003", "position": 512}, "gtid": "0-7-42,1-7-5"}
END: dict[str, Any] = {**BACKUP, "gtid": "0-8-50,1-7-5", "gtid_state": "0-7-42,0-8-50,1-7-5"}


@pytest.fixture
def strategy(tmp_path: Path) -> MariaDBBinlog:
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[], default_config_dirs=[])
    server = Server("mariadb", "10.11.6", tmp_path, tmp_path / "scratch", credentials=tmp_path / "lent.cnf")
    return MariaDBBinlog(conf, server)


CLIENT = """\
#!/bin/sh
read -r statement
case "$statement" in
    *MASTER*) printf '%b' 'agent_binlog.000001\\t4\\t{filters}\\n' ;;
    *) printf '%b' '{facts}\\n' ;;
esac
"""


@pytest.mark.parametrize(
    ("facts", "filters", "error"),
    [
        (r"0\t\t/data/\t0\t", r"\t", NoBinaryLog),
        (r"1\t/data/binlog\t/data/\t0\t0-1-1", r"\t", NoBinaryLog),
        (r"1\t/elsewhere/agent_binlog\t/data/\t0\t0-1-1", r"\t", NoBinaryLog),
        (r"1\t/data/agent_binlog\t/data/\t1\t0-1-1", r"\t", BinaryLogEncrypted),
        (r"1\t/data/agent_binlog\t/data/\t0\t0-1-1", r"shop\t", BinaryLogFiltered),
        (r"1\t/data/agent_binlog\t/data/\t0\t0-1-1", r"\tshop", BinaryLogFiltered),
    ],
)
def test_what_keeps_a_log_from_being_archived(
    strategy: MariaDBBinlog, tmp_path: Path, facts: str, filters: str, error: type[GuestAgentError]
) -> None:
    client = tmp_path / "client"
    client.write_text(CLIENT.format(facts=facts, filters=filters))
    client.chmod(0o755)
    strategy.conf.set_override("client_program", str(client), "mariadb_binlog")
    with pytest.raises(error):
        strategy.close()


def test_a_backup_is_followed_by_the_log_that_it_stands_in(strategy: MariaDBBinlog) -> None:
    assert strategy.begins_in(BACKUP, "binlog.000003-1764165900")
    assert not strategy.begins_in(BACKUP, "binlog.000004-1764165900")
    for nothing in ({}, {"lsn": 17}, {"binlog": None}):
        with pytest.raises(InvalidValue, match="no binary log"):
            strategy.begins_in(nothing, "binlog.000003-1764165900")


@pytest.mark.parametrize(
    ("positions", "gtid", "has"),
    [
        (BACKUP, "0-7-42", True),
        (BACKUP, "0-7-43", False),
        (BACKUP, "0-9-41", True),  # it came from another server, and is earlier
        (BACKUP, "1-7-6", False),
        (BACKUP, "2-7-1", False),
        ({"binlog": {}}, "0-7-1", False),
        (END, "0-8-50", True),
        (END, "0-7-42", True),
        (END, "0-7-43", False),  # that server has written no such one
        (END, "0-9-1", False),
    ],
)
def test_which_transactions_data_have(strategy: MariaDBBinlog, positions: dict[str, Any], gtid: str, has: bool) -> None:
    assert strategy.has(positions, gtid) is has


def test_positions_are_told_as_they_are_asked_for(strategy: MariaDBBinlog) -> None:
    assert strategy.spelled(BACKUP) == "GTID 0-7-42,1-7-5"
    assert strategy.spelled({"binlog": {}}) is None


@pytest.mark.parametrize("point", [Point(time=1764165900.0), Point(position="0-7-42")])
def test_a_point_is_a_second_or_a_transaction(strategy: MariaDBBinlog, point: Point) -> None:
    strategy.check(point)


@pytest.mark.parametrize(
    "point", [Point(time=1764165900.5), Point(position="yesterday"), Point(position="0-7-42,1-7-5"), Point(position="")]
)
def test_what_is_no_point(strategy: MariaDBBinlog, point: Point) -> None:
    with pytest.raises(InvalidValue):
        strategy.check(point)
