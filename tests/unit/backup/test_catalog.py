"""What is found in a store: backups, chains, pins, and what is none of these."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from oslo_config import cfg

from guestagent import conf as options
from guestagent.backup import catalog as catalogs
from guestagent.backup import manifest
from guestagent.backup.catalog import Catalog, NoBackup, ParentGone, Pin
from guestagent.backup.manifest import Manifest, ManifestInvalid, Segment
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import InvalidValue
from guestagent.storage.base import Joined
from guestagent.storage.local import LocalStorage
from tests.unit.backup.test_retention import backup

CONTEXT = RequestContext()
CONTAINER = "backups"
EVIL = ["../elsewhere", "..", ".", "", "a/b", "/etc", "a\0b", "a b", ".hidden", "é", "x" * 200]


@dataclasses.dataclass
class Shelf:
    """A store with a catalog, and the ways to spoil it."""

    storage: LocalStorage
    catalog: Catalog

    def put(self, name: str, content: bytes = b"") -> None:
        self.storage.put(CONTEXT, CONTAINER, name, [content])

    def names(self) -> list[str]:
        return self.storage.list(CONTEXT, CONTAINER)

    def add(self, name: str, days: float = 1, parent: str | None = None) -> tuple[Manifest, Joined]:
        """Keep a backup of one segment."""
        self.put(f"{name}/00000001", b"data")
        made = msgspec.structs.replace(backup(name, days, parent), segments=[Segment("00000001", 4, "", "")])
        return made, self.catalog.seal(made)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    conf = cfg.ConfigOpts()
    options.register(conf)
    conf([], default_config_files=[], default_config_dirs=[])
    conf.set_override("storage_dir", str(tmp_path / "store"), group="agent")
    storage = LocalStorage(conf)
    yield Shelf(storage, Catalog(storage, CONTEXT, CONTAINER))
    # Whatever was asked, nothing was made or removed beside the store.
    assert [path.name for path in tmp_path.iterdir()] in ([], ["store"])


def test_nothing_is_in_a_store_that_was_never_used(shelf: Shelf) -> None:
    assert list(shelf.catalog.list()) == []
    assert shelf.catalog.survey() == catalogs.Survey([], {}, [], {})
    assert shelf.catalog.pinned() == {}
    assert shelf.catalog.find("none") is None


def test_backups_are_listed_oldest_first(shelf: Shelf) -> None:
    for name, days in (("b", 1), ("c", 3), ("a", 2)):
        shelf.add(name, days)
    assert [one.id for one in shelf.catalog.list()] == ["c", "a", "b"]


def test_a_chain_is_found_by_location_and_by_id(shelf: Shelf) -> None:
    shelf.add("a", 3)
    shelf.add("b", 2, "a")
    made, joined = shelf.add("c", 1, "b")
    assert [one.id for one in shelf.catalog.chain(joined.location)] == ["a", "b", "c"]
    assert shelf.catalog.chain_of("c")[-1] == made
    assert [one.id for one in shelf.catalog.chain_of("a")] == ["a"]


def test_a_chain_that_has_lost_its_parent_is_said_to(shelf: Shelf) -> None:
    shelf.add("a", 3)
    shelf.add("b", 2, "a")
    _, joined = shelf.add("c", 1, "b")
    shelf.catalog.discard("a")
    with pytest.raises(ParentGone, match="'b' builds on 'a'"):
        shelf.catalog.chain(joined.location)
    assert [one.id for one in shelf.catalog.list()] == ["b", "c"]


@pytest.mark.parametrize("parent", ["../a", "a/../a", "/a"])
def test_a_parent_that_would_lie_elsewhere_is_gone(shelf: Shelf, parent: str) -> None:
    shelf.add("a")
    shelf.add("b", 1, parent)
    with pytest.raises(ParentGone):
        shelf.catalog.chain_of("b")


def test_a_chain_that_goes_in_a_circle_ends(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogs, "LONGEST_CHAIN", 10)
    shelf.add("a", 2, "b")
    shelf.add("b", 1, "a")
    with pytest.raises(ParentGone):
        shelf.catalog.chain_of("a")


def test_a_location_without_a_manifest_is_no_backup(shelf: Shelf) -> None:
    shelf.put("a/00000001", b"data")
    with pytest.raises(NoBackup, match=r"local://backups/a\.backup"):
        shelf.catalog.chain("local://backups/a.backup")
    with pytest.raises(NoBackup, match="backups/a"):
        shelf.catalog.chain_of("a")
    assert shelf.catalog.survey().unfinished == ["a"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "damaged"),
        (b"{", "damaged"),
        (b"null", "damaged"),
        (b'{"schema": 1}', "damaged"),
        (b'{"schema": "1"}', "damaged"),
        (b"\xff\xfe", "damaged"),
        (b'{"schema": 99, "of": "the future"}', "a newer agent wrote it"),
    ],
)
def test_a_manifest_that_cannot_be_used_says_so_and_hides_no_other(shelf: Shelf, text: bytes, problem: str) -> None:
    shelf.add("a")
    shelf.put("b/manifest.json", text)
    with pytest.raises(ManifestInvalid, match=problem):
        shelf.catalog.find("b")
    with pytest.raises(ManifestInvalid, match="'b'"):
        list(shelf.catalog.list())
    survey = shelf.catalog.survey()
    assert [one.id for one in survey.backups] == ["a"]
    assert problem in str(survey.unusable["b"])


def test_a_manifest_of_another_backup_is_not_believed(shelf: Shelf) -> None:
    made, _ = shelf.add("a")
    shelf.put("b/manifest.json", manifest.encode(made))
    with pytest.raises(ManifestInvalid, match="it is that of 'a'"):
        shelf.catalog.find("b")


def test_a_manifest_whose_segments_lie_elsewhere_is_not_believed(shelf: Shelf) -> None:
    made = msgspec.structs.replace(backup("a", 1), segments=[Segment("../b/00000001", 4, "", "")])
    shelf.put("a/manifest.json", manifest.encode(made))
    with pytest.raises(ManifestInvalid, match="would lie elsewhere"):
        shelf.catalog.find("a")


def test_a_manifest_without_an_end_is_given_up(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "LARGEST", 100)
    shelf.put("a/manifest.json", b" " * 101)
    with pytest.raises(ManifestInvalid, match="too long"):
        shelf.catalog.find("a")


def test_what_others_keep_in_the_container_is_passed_over(shelf: Shelf) -> None:
    shelf.add("a")
    for name in ("readme", "logs/today", "deep/er/manifest.json", "deep/er/pin", ".x/manifest.json", "manifest.json"):
        shelf.put(name, b"?")
    survey = shelf.catalog.survey()
    assert [one.id for one in survey.backups] == ["a"]
    assert (survey.unusable, survey.unfinished, survey.pins) == ({}, [], {})


@pytest.mark.parametrize("backup_id", EVIL)
def test_an_id_leads_nowhere_else(shelf: Shelf, backup_id: str) -> None:
    shelf.add("a")
    before = shelf.names()
    for ask in (shelf.catalog.find, shelf.catalog.discard, shelf.catalog.chain_of, shelf.catalog.unpin):
        with pytest.raises(InvalidValue):
            ask(backup_id)
    with pytest.raises(InvalidValue):
        shelf.catalog.pin(backup_id, Pin())
    assert shelf.names() == before


@pytest.mark.parametrize("location", ["local://backups/../a.backup", "local://../a.backup", "file:///etc", "local://"])
def test_a_location_leads_nowhere_else(shelf: Shelf, location: str) -> None:
    with pytest.raises(InvalidValue):
        shelf.catalog.chain(location)


def test_a_pin_says_who_wanted_it_when_and_why(shelf: Shelf) -> None:
    shelf.add("a")
    shelf.add("b")
    shelf.catalog.pin("a", Pin("me", 7.0, "before the move"))
    assert shelf.catalog.pinned() == {"a": Pin("me", 7.0, "before the move")}
    shelf.catalog.pin("a", Pin("you", 8.0, "still"))
    assert shelf.catalog.survey().pins == {"a": Pin("you", 8.0, "still")}
    for _ in range(2):
        shelf.catalog.unpin("a")
    assert shelf.catalog.pinned() == {}
    assert [one.id for one in shelf.catalog.list()] == ["a", "b"]


def test_what_is_no_backup_cannot_be_pinned(shelf: Shelf) -> None:
    shelf.put("a/00000001", b"data")
    with pytest.raises(NoBackup):
        shelf.catalog.pin("a", Pin())
    assert shelf.catalog.pinned() == {}


@pytest.mark.parametrize("text", [b"", b"[", b"[]", b'{"who": 1}', b"\xff", b"x" * (1 << 17)])
def test_a_pin_that_cannot_be_read_still_pins(shelf: Shelf, text: bytes) -> None:
    shelf.add("a")
    shelf.put("a/pin", text)
    assert shelf.catalog.pinned() == {"a": Pin()}


def test_what_is_discarded_leaves_nothing(shelf: Shelf) -> None:
    shelf.add("a")
    before = shelf.names()
    shelf.add("ab")
    shelf.catalog.pin("ab", Pin())
    for _ in range(2):
        shelf.catalog.discard("ab")
    assert shelf.names() == before
