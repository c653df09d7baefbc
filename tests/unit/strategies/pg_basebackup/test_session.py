"""The replication protocol with a peer that may say anything; the real server is in the functional tests."""

import io
import logging
import socket
from pathlib import Path

import pytest
from guestagent_pg_basebackup.session import Address, Session

from guestagent.contract.errors import DatastoreDown, DatastoreError
from tests.support.interruptions import cancelled_once
from tests.unit.strategies.pg_basebackup.speaking import LET_IN, message, problem, row, server, session

READY = message(b"Z", b"I")


def test_a_command_answers_with_rows(tmp_path: Path) -> None:
    said = message(b"T", b"\0\0") + row("0/1", None, "") + row("é") + message(b"C", b"DONE\0") + READY
    with session(tmp_path, said) as made:
        assert made.execute("IDENTIFY_SYSTEM") == [["0/1", None, ""], ["é"]]


def test_a_refusal_is_told_in_the_servers_words(tmp_path: Path) -> None:
    said = problem(b"E", "ERROR", "no slots left.", "All are in use.") + READY
    with (
        session(tmp_path, said) as made,
        pytest.raises(DatastoreError, match=r"^The work failed: no slots left. All are in use\.$"),
    ):
        made.execute("CREATE_REPLICATION_SLOT")


def test_a_warning_is_logged_and_no_failure(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    said = problem(b"N", "WARNING", "page 3 is damaged") + problem(b"N", "NOTICE", "by the way") + READY
    with caplog.at_level(logging.INFO), session(tmp_path, said) as made:
        assert made.execute("BASE_BACKUP") == []
    assert "page 3 is damaged" in caplog.text
    assert "by the way" not in caplog.text


def test_a_stream_is_between_what_is_said_before_and_after(tmp_path: Path) -> None:
    pieces = [b"a" * 70_000, b"b", b""]
    stream = message(b"H", b"\0\0\0") + b"".join(message(b"d", piece) for piece in pieces) + message(b"c")
    with session(tmp_path, row("0/1") + stream + row("0/2") + READY) as made:
        assert made.begin("BASE_BACKUP") == [["0/1"]]
        assert list(made.pieces()) == pieces
        assert made.end() == [["0/2"]]


def test_a_file_is_sent_whole(tmp_path: Path) -> None:
    content = io.BytesIO(b"x" * 300_000)
    with session(tmp_path, message(b"G", b"\0\0\0") + READY) as made:
        made.send("UPLOAD_MANIFEST", content)
    assert not content.read()


def test_a_refusal_in_the_middle_of_a_file_is_told(tmp_path: Path) -> None:
    said = message(b"G", b"\0\0\0") + problem(b"E", "ERROR", "that is no manifest") + READY
    with session(tmp_path, said) as made, pytest.raises(DatastoreError, match="that is no manifest"):
        made.send("UPLOAD_MANIFEST", io.BytesIO(b"x" * 300_000))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"", "has ended the session"),
        (b"Z\0", "has ended the session"),
        (b"D\0\0\0\x10abc", "has ended the session"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no message of a server"),
        (b"Z\0\0\0\x01", "no message of a server"),
    ],
)
def test_what_is_no_server_is_told(tmp_path: Path, said: bytes, told: str) -> None:
    with session(tmp_path, said) as made, pytest.raises(DatastoreError, match=told):
        made.execute("IDENTIFY_SYSTEM")


@pytest.mark.parametrize("method", [3, 5, 10])
def test_a_server_that_wants_a_password_is_told(tmp_path: Path, method: int) -> None:
    asked = message(b"R", method.to_bytes(4, "big") + b"salt")
    with server(tmp_path, asked) as address, pytest.raises(DatastoreError, match="password"):
        Session(address, "The work")


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatastoreDown, match="No such file or directory"):
        Session(Address(tmp_path / "nowhere", "agent"), "The work")


def test_a_server_that_takes_nobody_in_is_told(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as first:
        listening.bind(str(path))
        listening.listen(0)
        first.connect(str(path))
        with pytest.raises(DatastoreDown, match="temporarily unavailable"):
            Session(Address(path, "agent"), "The work")


def test_a_cancel_ends_a_wait(tmp_path: Path) -> None:
    with server(tmp_path, LET_IN, ends=False) as address, Session(address, "The work") as made, cancelled_once():
        made.execute("BASE_BACKUP")


def test_where_a_server_is_comes_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "service.conf"
    path.write_text("[guestagent]\nhost=/run/db\nport=5433\nuser=agent\ndbname=postgres\n")
    assert Address.read(path) == Address(Path("/run/db/.s.PGSQL.5433"), "agent")
    path.write_text("[guestagent]\nhost=/run/db\n")
    with pytest.raises(DatastoreDown, match="has no 'port'"):
        Address.read(path)
    with pytest.raises(DatastoreDown, match="No such file"):
        Address.read(tmp_path / "gone")
