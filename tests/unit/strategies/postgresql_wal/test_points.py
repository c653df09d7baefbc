"""Files and places of the write-ahead log, and what can be asked about them without a server."""

from pathlib import Path

import pytest
from guestagent_postgresql_wal import segments
from guestagent_postgresql_wal.segments import Segment
from guestagent_postgresql_wal.strategy import PostgreSQLWal
from oslo_config import cfg

from guestagent.backup.archive import Point
from guestagent.backup.base import Server
from guestagent.contract.errors import InvalidValue

SYSTEM = "7441234567890123456"


@pytest.fixture
def strategy() -> PostgreSQLWal:
    conf = cfg.ConfigOpts()
    conf([])
    return PostgreSQLWal(conf, Server("postgresql", "15.18", Path("/nowhere"), Path("/nowhere/scratch")))


@pytest.mark.parametrize(
    ("name", "follows"),
    [
        ("000000010000000000000001", "000000010000000000000002"),
        ("0000000100000000000000FF", "000000010000000100000000"),
        ("0000000A0000000F00000010", "0000000A0000000F00000011"),
    ],
)
def test_a_file_is_followed_by_the_next(name: str, follows: str) -> None:
    one = Segment.named(name)
    assert one is not None
    assert (one.name, one.next.name) == (name, follows)
    assert Segment.at(one.timeline, one.begins) == one
    assert Segment.at(one.timeline, one.next.begins - 1) == one


@pytest.mark.parametrize("name", ["", "archive_status", "00000002.history", "000000010000000000000001.partial"])
def test_what_else_lies_there_is_no_file_of_it(name: str) -> None:
    assert Segment.named(name) is None


@pytest.mark.parametrize(
    ("lsn", "found"), [("0/0", 0), ("1/A4000028", (1 << 32) + 0xA4000028), ("x/0", None), ("", None)]
)
def test_a_place_is_read(lsn: str, found: int | None) -> None:
    assert segments.parse(lsn) == found
    assert found is None or segments.spelled(found) == lsn


def test_a_backup_is_followed_by_the_file_that_it_ends_in(strategy: PostgreSQLWal) -> None:
    positions = {"end_lsn": "0/3000100", "timeline": 1}
    assert strategy.begins_in(positions, f"000000010000000000000003-{SYSTEM}")
    assert not strategy.begins_in(positions, f"000000020000000000000003-{SYSTEM}")
    assert strategy.begins_in({"end_lsn": "0/4000000", "timeline": 1}, f"000000010000000000000003-{SYSTEM}")
    with pytest.raises(InvalidValue):
        strategy.begins_in({"gtid": "0-1-2"}, "anything")


def test_data_have_what_is_before_them(strategy: PostgreSQLWal) -> None:
    positions = {"end_lsn": "1/0", "timeline": 1}
    assert strategy.has(positions, "0/FFFFFFFF")
    assert strategy.has(positions, "1/0")
    assert strategy.has(positions, "1/1") is False
    assert strategy.has(positions, "a name that somebody gave") is None
    assert strategy.spelled(positions) == "LSN 1/0"


@pytest.mark.parametrize("position", ["", "x" * 64, "a\nb", "nul\0", "é" * 32])
def test_a_name_that_no_server_can_have_given_is_refused(strategy: PostgreSQLWal, position: str) -> None:
    with pytest.raises(InvalidValue):
        strategy.check(Point(position=position))
    strategy.check(Point(position="here it was good"))
    strategy.check(Point(time=1.5))
