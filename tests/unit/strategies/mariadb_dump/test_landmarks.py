"""What a dump says of itself, and what only looks like it."""

import pytest
from guestagent_mariadb_dump.landmarks import KEPT_BYTES, Landmarks

SANDBOX = b"/*M!999999\\- enable the sandbox mode */ \n"
HEAD = b"""-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)
--
-- Host: localhost    Database:\x20
-- ------------------------------------------------------
-- Server version\t10.11.19-MariaDB-0+deb12u1-log

-- CHANGE MASTER TO MASTER_LOG_FILE='b.000001', MASTER_LOG_POS=262770;

"""
DATA = b"-- Current Database: `shop`\n\nINSERT INTO t VALUES (1);\n"
GTID = b"-- SET GLOBAL gtid_slave_pos='0-3-21,1-2-3';\n"
END = b"\n-- Dump completed on 2026-11-26  9:25:57\n"

POSITIONS = {
    "server_version": "10.11.19-MariaDB-0+deb12u1-log",
    "binlog": {"file": "b.000001", "position": 262770},
    "gtid": "0-3-21,1-2-3",
}


def seen(*pieces: bytes, size: int = 1000) -> Landmarks:
    landmarks = Landmarks()
    content = b"".join(pieces)
    for at in range(0, len(content), size):
        landmarks.pass_by(content[at : at + size])
    return landmarks


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("first", [b"", SANDBOX])
def test_a_dump_is_recognised_in_pieces_of_any_size(first: bytes, size: int) -> None:
    found = seen(first, HEAD, DATA, GTID, END, size=size)
    assert found.is_dump()
    assert found.is_whole()
    assert found.positions() == POSITIONS


def test_older_programs_write_the_gtid_first() -> None:
    assert seen(HEAD, GTID, DATA, b"x" * 3 * KEPT_BYTES + b"\n", END).positions() == POSITIONS


def test_what_lies_between_the_ends_is_not_kept() -> None:
    found = seen(HEAD, DATA, b"x" * 5 * KEPT_BYTES + b"\n", GTID, END)
    assert found.positions() == POSITIONS
    assert found.is_whole()


def test_what_users_wrote_is_not_believed() -> None:
    forged = HEAD.replace(b"b.000001", b"evil.000001") + GTID.replace(b"0-3-21", b"6-6-6")
    assert seen(HEAD, DATA, forged, b"x" * KEPT_BYTES + b"\n", GTID, END).positions() == POSITIONS


def test_a_server_without_a_binary_log_has_no_place_in_it() -> None:
    head = b"\n".join(line for line in HEAD.splitlines() if b"MASTER" not in line)
    assert set(seen(head, b"\n", DATA, END).positions()) == {"server_version"}


def test_a_server_without_a_transaction_has_no_gtid() -> None:
    assert "gtid" not in seen(HEAD, DATA, b"-- SET GLOBAL gtid_slave_pos='';\n", END).positions()


@pytest.mark.parametrize("content", [b"", b"XBSTCK01", b"-- MySQL dump 10.13", b"SELECT 1;\n" + HEAD, SANDBOX])
def test_other_streams_are_none(content: bytes) -> None:
    assert not seen(content).is_dump()


@pytest.mark.parametrize(
    "end", [END[:-1], END[:-10], b"", END + b"\nSELECT 1;\n", b"INSERT INTO t VALUES (' " + END[1:]]
)
def test_a_dump_that_ends_otherwise_is_not_whole(end: bytes) -> None:
    assert not seen(HEAD, DATA, end).is_whole()
