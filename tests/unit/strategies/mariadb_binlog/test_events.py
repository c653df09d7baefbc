"""Binary logs read by hand, on files of every kind."""

import struct
from collections.abc import Iterable
from pathlib import Path

import pytest
from guestagent_mariadb_binlog import events
from guestagent_mariadb_binlog.errors import BinaryLogEncrypted, BinaryLogInvalid, ReplayFailed
from guestagent_mariadb_binlog.events import BinaryLog, Gtid
from guestagent_mariadb_binlog.replaying import Stop

SERVER = 7
CHECKSUM = b"\0\0\0\0"
QUERY = 2


def event(kind: int, time: int, body: bytes, server: int = SERVER) -> bytes:
    size = events.HEADER.size + len(body) + len(CHECKSUM)
    return events.HEADER.pack(time, kind, server, size, 0, 0) + body + CHECKSUM


def head(time: int, before: Iterable[str] = ()) -> bytes:
    gtids = [gtid for text in before for gtid in events.parse(text)]
    listed = b"".join(struct.pack("<IIQ", *gtid) for gtid in gtids)
    # The upper bits of the number are flags.
    content = struct.pack("<I", len(gtids) | 1 << 28) + listed
    return events.MAGIC + event(events.FORMAT_DESCRIPTION, time, bytes(80)) + event(events.GTID_LIST, time, content)


def transaction(time: int, number: int, domain: int = 0, server: int = SERVER) -> bytes:
    begin = event(events.GTID, time, struct.pack("<QIB", number, domain, 0) + bytes(6), server)
    return begin + event(QUERY, time - 5, b"INSERT", server)


@pytest.fixture
def log(tmp_path: Path) -> BinaryLog:
    content = head(100, ["0-7-3,1-7-9"])
    return BinaryLog(written(tmp_path, content + b"".join(transaction(100 + 10 * n, 3 + n) for n in (1, 2, 3))))


def written(directory: Path, content: bytes) -> Path:
    path = directory / "binlog.000001"
    path.write_bytes(content)
    return path


def test_a_log_tells_when_it_began_and_what_was_before(log: BinaryLog) -> None:
    assert log.head() == (100, {(0, 7): 3, (1, 7): 9})


def test_transactions_have_places_times_and_names(log: BinaryLog) -> None:
    found = list(log.transactions())
    assert [(one.time, str(one.gtid)) for one in found] == [(110, "0-7-4"), (120, "0-7-5"), (130, "0-7-6")]
    content = log.path.read_bytes()
    assert [content[one.place + 4] for one in found] == [events.GTID] * 3


def test_the_torn_end_of_a_server_that_died_is_no_transaction(log: BinaryLog, tmp_path: Path) -> None:
    whole = log.path.read_bytes()
    last = list(log.transactions())[-1].place
    for cut in (last + 3, last + events.HEADER.size + 2, len(whole) - 1):
        found = list(BinaryLog(written(tmp_path, whole[:cut])).transactions())
        assert len(found) == (3 if cut == len(whole) - 1 else 2)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xfebi",
        b"no log at all",
        events.MAGIC,
        events.MAGIC + bytes(100),
        events.MAGIC + event(QUERY, 1, b""),
        head(1)[: -len(CHECKSUM) - 10],
        head(1)[: -len(CHECKSUM) - 2],
        events.MAGIC + event(events.FORMAT_DESCRIPTION, 1, b"") + transaction(9, 1),
        events.MAGIC + event(events.FORMAT_DESCRIPTION, 1, b"") + event(events.GTID_LIST, 1, b"\xff\xff\xff\x0f"),
    ],
)
def test_what_is_no_log_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BinaryLogInvalid, match=r"binlog\.000001"):
        BinaryLog(written(tmp_path, content)).head()


def test_a_log_that_its_server_encrypts_is_refused(tmp_path: Path) -> None:
    content = events.MAGIC + event(events.FORMAT_DESCRIPTION, 1, b"") + event(events.START_ENCRYPTION, 1, bytes(17))
    with pytest.raises(BinaryLogEncrypted):
        BinaryLog(written(tmp_path, content)).head()


@pytest.mark.parametrize(
    ("before", "last", "left_out", "newest"),
    [
        (110, None, 0, "0-7-3,1-7-9"),
        (111, None, 1, "0-7-4,1-7-9"),
        (121, None, 2, "0-7-5,1-7-9"),
        (999, None, None, "0-7-6,1-7-9"),
        (None, "0-7-4", 1, "0-7-4,1-7-9"),
        (None, "0-7-6", None, "0-7-6,1-7-9"),
        (None, None, None, "0-7-6,1-7-9"),
    ],
)
def test_where_to_stop(
    log: BinaryLog, before: float | None, last: str | None, left_out: int | None, newest: str
) -> None:
    stop = Stop(log, 0, before, events.parse(last)[0] if last else None)
    places = [one.place for one in log.transactions()]
    assert stop.place == (None if left_out is None else places[left_out])
    assert events.newest(stop.gtids) == newest


def test_what_is_in_the_backup_stops_nothing(log: BinaryLog) -> None:
    second = list(log.transactions())[1]
    stop = Stop(log, second.place, 105, None)
    assert stop.place == second.place
    assert events.newest(stop.gtids) == "0-7-4,1-7-9"


def test_a_transaction_that_is_not_there_cannot_be_the_last(log: BinaryLog) -> None:
    with pytest.raises(ReplayFailed, match="0-8-4"):
        Stop(log, 0, None, Gtid(0, 8, 4))


def test_names_of_transactions() -> None:
    state = events.state_of(events.parse("1-7-9, 0-8-12,0-7-3"))
    assert events.spelled(state) == "0-7-3,0-8-12,1-7-9"
    assert events.newest(state) == "0-8-12,1-7-9"
    assert events.parse("") == []


@pytest.mark.parametrize("wrong", ["0-1", "0-1-2-3", "a-b-c", "0-1-2,", "0-1-2;DROP", "-1-1-1"])
def test_what_names_no_transaction(wrong: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        events.parse(wrong)
