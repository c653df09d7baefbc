"""Until when backups can be brought forward, and with which logs."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from oslo_config import cfg

from guestagent.backup import replay
from guestagent.backup.archive import Point
from guestagent.backup.encryption import WrongKey
from guestagent.backup.manifest import Manifest, ManifestInvalid
from guestagent.backup.segments import SegmentDamaged, SegmentMissing
from guestagent.backup.window import OutsideWindow
from guestagent.contract.errors import GuestAgentError, InvalidValue
from tests.unit.backup.ledger import UNKNOWN, Desk, Ledger, desk
from tests.unit.backup.streams import CONTAINER, CONTEXT, Shaky, objects


@pytest.fixture
def archived(conf: cfg.ConfigOpts, storage: Shaky, tmp_path: Path) -> Desk:
    """Three logs with two words each are archived; a backup was made between the first two words."""
    conf.set_override("encryption_keys", ["first:" + "ab" * 32], "backup")
    made = desk(conf, storage, tmp_path)
    made.writer.say("one")
    made.backup = made.writer.backup()
    made.writer.say("two")
    for pair in (["three", "four"], ["five", "six"]):
        made.archive()
        made.writer.say(*pair)
    made.archive()
    return made


def recover(made: Desk, tmp_path: Path, point: Point, backup: Manifest | None = None) -> str:
    """The words after a recovery."""
    target = tmp_path / "target"
    target.mkdir(exist_ok=True)
    found = replay.find(made.strategy, made.store, backup or made.backup, point)
    (target / "words").write_text(" ".join(found.backup.positions["words"]))
    found.carry_out(made.conf, target)
    assert not list((tmp_path / "scratch").glob("*"))
    return (target / "words").read_text()


def test_the_window_reaches_from_the_backup_to_the_last_log(archived: Desk) -> None:
    window = archived.chart().window([archived.backup, archived.writer.backup("other", instance_id="j")])
    [only] = window.backups
    assert (only.id, only.logs, only.gap) == ("b", 3, None)
    assert (window.earliest, window.last, window.position) == (archived.backup.ended, archived.writer.now, "six")


def test_an_instance_without_anything_has_no_window(archived: Desk) -> None:
    window = archived.chart().window([])
    assert (window.earliest, window.last, window.backups) == (None, None, [])


def test_a_backup_that_is_newer_than_all_logs_is_a_window_of_one_moment(archived: Desk) -> None:
    [only] = archived.chart().window([archived.writer.backup()]).backups
    assert (only.since, only.until, only.logs, only.gap) == (archived.writer.now, archived.writer.now, 0, None)


def test_a_missing_log_is_a_gap_that_ends_the_window(archived: Desk, tmp_path: Path) -> None:
    later = archived.writer.backup("later", positions={"file": "log.003", "words": ["four"]}, ended=1050.0)
    archived.store.clear("log.002-1022")
    first, second = archived.chart().window([later, archived.backup]).backups
    assert (first.id, first.position, first.logs) == ("b", "two", 1)
    assert first.until < archived.writer.now
    assert "log.002-1022" in str(first.gap)
    assert (second.id, second.position, second.gap) == ("later", "six", None)
    assert recover(archived, tmp_path, Point(position="two")) == "one two"
    for point in (Point(position="three"), Point(time=first.until + 1)):
        with pytest.raises(OutsideWindow, match=r"log\.002-1022"):
            recover(archived, tmp_path, point)


def test_a_backup_whose_own_log_is_missing_leads_nowhere(archived: Desk) -> None:
    archived.store.clear("log.001-1001")
    [only] = archived.chart().window([archived.backup]).backups
    assert (only.until, only.logs) == (archived.backup.ended, 0)
    assert "not in the store" in str(only.gap)


def test_a_server_that_began_anew_uses_its_names_again_and_nothing_is_mixed_up(archived: Desk, tmp_path: Path) -> None:
    archived.writer.reset()
    archived.writer.say("seven")
    backup = archived.writer.backup("later")
    archived.writer.say("eight")
    archived.archive()
    first, second = archived.chart().window([archived.backup, backup]).backups
    assert (first.position, second.position) == ("six", "eight")
    assert "not in the store" in str(first.gap)
    assert recover(archived, tmp_path, Point(position="eight"), backup) == "seven eight"


def test_a_backup_that_stands_nowhere_says_so(archived: Desk) -> None:
    [only] = archived.chart().window([archived.writer.backup(positions={})]).backups
    assert only.gap == "it stands nowhere"


@pytest.mark.parametrize(
    ("point", "words"),
    [
        (Point(position="two"), "one two"),
        (Point(position="three"), "one two three"),
        (Point(position="six"), "one two three four five six"),
        (Point(position=UNKNOWN), "one two three four five six"),
        (Point(time=1011.0), "one"),
        (Point(time=1021.0), "one"),
        (Point(time=1021.5), "one two"),
        (Point(time=1032.0), "one two"),
        (Point(time=1042.0), "one two three"),
        (Point(time=1064.0), "one two three four five six"),
    ],
)
def test_a_point_is_reached_exactly(archived: Desk, tmp_path: Path, point: Point, words: str) -> None:
    assert recover(archived, tmp_path, point) == words


@pytest.mark.parametrize("point", [Point(position="one"), Point(position="seven"), Point(time=10.0), Point(time=1e9)])
def test_a_point_outside_of_the_window_is_refused_with_the_window(archived: Desk, tmp_path: Path, point: Point) -> None:
    with pytest.raises(OutsideWindow) as refused:
        recover(archived, tmp_path, point)
    assert str(point) in str(refused.value)
    assert "1970-01-01T00:16:51+00:00 (one)" in str(refused.value)
    assert "1970-01-01T00:17:44+00:00 (six)" in str(refused.value)


def test_a_later_log_does_not_change_what_a_time_means(archived: Desk) -> None:
    point = Point(time=float(archived.writer.now))
    before = archived.chart().way(archived.backup, point)
    archived.writer.say("seven")
    archived.archive()
    assert archived.chart().way(archived.backup, point) == before


def test_a_position_that_only_logs_could_show_needs_logs(archived: Desk, tmp_path: Path) -> None:
    with pytest.raises(OutsideWindow):
        recover(archived, tmp_path, Point(position=UNKNOWN), archived.writer.backup())


def test_what_is_no_point_is_refused_by_who_knows(archived: Desk, tmp_path: Path) -> None:
    with pytest.raises(InvalidValue):
        recover(archived, tmp_path, Point(position=""))


def segment(name: str) -> str:
    return f"_logs/i/{name}/00000001"


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda made: made.storage.delete(CONTEXT, CONTAINER, segment("log.002-1022")), SegmentMissing),
        (lambda made: made.storage.put(CONTEXT, CONTAINER, segment("log.002-1022"), [b"x"]), SegmentDamaged),
        (lambda made: made.conf.set_override("encryption_keys", ["first:" + "cd" * 32], "backup"), WrongKey),
        (lambda made: setattr(made.strategy, "server", replace(made.strategy.server, datastore="other")), InvalidValue),
        (lambda made: setattr(Ledger, "version", 2), ManifestInvalid),
    ],
    ids=["no segment", "a damaged segment", "another key", "another datastore", "an older strategy"],
)
def test_a_log_that_cannot_be_used_ends_the_recovery(
    archived: Desk, tmp_path: Path, spoil, error: type[GuestAgentError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ledger, "version", Ledger.version)
    spoil(archived)
    with pytest.raises(error):
        recover(archived, tmp_path, Point(position="six"))


def test_logs_are_stored_as_backups_are(archived: Desk) -> None:
    stored = b"".join(objects(archived.storage).values())
    assert b"three" in stored, "the manifest"
    contents = [content for name, content in objects(archived.storage).items() if not name.endswith(".json")]
    assert not [content for content in contents if b"three" in content]


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("2025-11-26T14:05:00+00:00", Point(time=1764165900.0)),
        (" 2025-11-26 15:05:00+01:00 ", Point(time=1764165900.0)),
        ("2025-11-26T14:05:00.250Z", Point(time=1764165900.25)),
        ("0-1-42", Point(position="0-1-42")),
        ("before the migration", Point(position="before the migration")),
    ],
)
def test_a_point_is_read_as_it_is_typed(text: str, point: Point) -> None:
    assert Point.parse(text) == point


@pytest.mark.parametrize("text", ["2025-11-26T14:05:00", "2025-11-26", "20251126"])
def test_a_time_without_a_zone_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="of which zone"):
        Point.parse(text)
