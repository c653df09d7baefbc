"""Going on with a backup whose writer has died: what is sent again, what never is, and what begins anew."""

import stat
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace as but
from oslo_config import cfg

from guestagent.backup import draft, encryption, writer
from guestagent.backup.draft import Draft, NotRepeated, Recipe
from guestagent.backup.settings import Settings
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import SystemFailure
from guestagent.storage.local import LocalStorage
from tests.unit.backup.streams import BACKUP, CONTAINER, CONTEXT, KEYS, SMALL, Text, manifest_of, objects, read, rows

CONTENT = rows(1_500_000)
SEALED = but(SMALL, algorithm="AES-256-GCM", keys=KEYS)
EVERY = pytest.mark.parametrize(
    "settings",
    [but(SMALL, compression="none"), SEALED, but(SEALED, compression="gzip"), but(SMALL, compression="zstd")],
    ids=["plain", "zstd, sealed", "gzip, sealed", "zstd"],
)


class Dies(BaseException):
    """Nothing is done about it, as about SIGKILL."""


class Mortal(LocalStorage):
    """A store whose client dies after so many objects.

    :ivar sent: all that was ever sent, by name.
    """

    def __init__(self, conf: cfg.ConfigOpts, lives: int = 1_000_000) -> None:
        super().__init__(conf)
        self.lives = lives
        self.lock = threading.Lock()
        self.sent: dict[str, list[bytes]] = {}

    def put(
        self,
        context: RequestContext,
        container: str,
        name: str,
        chunks: Iterable[bytes],
        metadata: Mapping[str, str] | None = None,
    ) -> int:
        content = b"".join(chunks)
        with self.lock:
            self.sent.setdefault(name, []).append(content)
            self.lives -= 1
            if self.lives < 0:
                raise Dies
        return super().put(context, container, name, [content], metadata)

    def delete(self, context: RequestContext, container: str, name: str) -> None:
        if self.lives >= 0:
            super().delete(context, container, name)


@pytest.fixture
def mortal(conf: cfg.ConfigOpts) -> Mortal:
    return Mortal(conf)


TakeUp = Callable[[Settings], Draft]


@pytest.fixture
def take_up(tmp_path: Path) -> TakeUp:
    def take(settings: Settings) -> Draft:
        return Draft.take_up(tmp_path / "draft", recipe(settings), None)

    return take


def recipe(settings: Settings, **changed: object) -> Recipe:
    made = Recipe(
        BACKUP,
        "s",
        1,
        None,
        settings.compression,
        settings.level,
        settings.segment_size,
        encryption.begin(settings.algorithm, settings.keys),
    )
    return msgspec.structs.replace(made, **changed)


def write(store: Mortal, content: bytes, settings: Settings, begun: Draft) -> writer.Written:
    return writer.write(Text(content), store, CONTEXT, CONTAINER, BACKUP, settings, draft=begun)


def die_at(store: Mortal, lives: int, settings: Settings, begun: Draft, content: bytes = CONTENT) -> None:
    store.lives = lives
    with pytest.raises(Dies):
        write(store, content, settings, begun)
    store.lives = 1_000_000


@EVERY
def test_what_is_in_the_store_is_not_sent_again(mortal: Mortal, settings: Settings, take_up: TakeUp) -> None:
    die_at(mortal, 4, settings, take_up(settings))
    there = set(objects(mortal))
    assert len(there) == 4
    written = write(mortal, CONTENT, settings, take_up(settings))
    assert read(mortal, manifest_of(written), settings) == CONTENT
    assert [len(mortal.sent[name]) for name in sorted(there)] == [1] * 4
    # What was sent twice was the same twice.
    assert all(len(set(contents)) == 1 for contents in mortal.sent.values())


def test_a_writer_may_die_again_and_again(mortal: Mortal, take_up: TakeUp) -> None:
    for _ in range(3):
        die_at(mortal, 2, SEALED, take_up(SEALED))
    written = write(mortal, CONTENT, SEALED, take_up(SEALED))
    assert read(mortal, manifest_of(written), SEALED) == CONTENT
    assert all(len(set(contents)) == 1 for contents in mortal.sent.values())


def test_an_object_that_has_gone_is_sent_again(mortal: Mortal, take_up: TakeUp) -> None:
    die_at(mortal, 4, SEALED, take_up(SEALED))
    mortal.delete(CONTEXT, CONTAINER, f"{BACKUP}/00000002")
    written = write(mortal, CONTENT, SEALED, take_up(SEALED))
    assert read(mortal, manifest_of(written), SEALED) == CONTENT


@pytest.mark.parametrize("changed", [0, 70_000, 200_000])
def test_what_was_sealed_is_never_sealed_as_something_else(mortal: Mortal, take_up: TakeUp, changed: int) -> None:
    settings = but(SEALED, compression="none")
    die_at(mortal, 8, settings, take_up(settings))
    other = bytearray(CONTENT)
    other[changed] ^= 1
    with pytest.raises(NotRepeated, match=f"segment {1 + (changed + 24) // (1 << 16)} is another one"):
        write(mortal, bytes(other), settings, take_up(settings))
    assert all(len(set(contents)) == 1 for contents in mortal.sent.values())


def test_a_stream_that_ends_earlier_is_another_one(mortal: Mortal, take_up: TakeUp) -> None:
    settings = but(SMALL, compression="none")
    die_at(mortal, 8, settings, take_up(settings))
    with pytest.raises(NotRepeated, match="segment 5"):
        write(mortal, CONTENT[: 4 << 16], settings, take_up(settings))


@pytest.mark.parametrize(
    "changes",
    [
        {"backup": "another"},
        {"strategy": "t"},
        {"version": 2},
        {"parent": "p"},
        {"compression": "gzip"},
        {"level": 3},
        {"segment_size": 1 << 17},
        {"encryption": None},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_backup_that_is_made_otherwise_begins_anew(tmp_path: Path, changes: dict[str, object]) -> None:
    first = Draft.take_up(tmp_path / "draft", recipe(SEALED), None)
    first.begin("0" * 64, 1)
    (tmp_path / "draft" / draft.KEPT / "data").touch()
    again = Draft.take_up(tmp_path / "draft", recipe(SEALED), None)
    assert (again.recipe, again.begun) == (first.recipe, first.begun)
    assert (tmp_path / "draft" / draft.KEPT / "data").exists()
    other = Draft.take_up(tmp_path / "draft", recipe(SEALED, **changes), None)
    assert other.begun == []
    assert other.recipe.encryption is None or other.recipe.encryption != first.recipe.encryption
    assert list((tmp_path / "draft" / draft.KEPT).iterdir()) == []


@pytest.mark.parametrize("torn", ["", "0123", "\n", "0" * 63, "g" * 64], ids=repr)
def test_a_line_that_was_not_written_to_its_end_is_none(tmp_path: Path, torn: str) -> None:
    first = Draft.take_up(tmp_path / "draft", recipe(SEALED), None)
    first.begin("1" * 64, 1)
    with (tmp_path / "draft" / "segments").open("a") as stream:
        stream.write(torn)
    again = Draft.take_up(tmp_path / "draft", recipe(SEALED), None)
    assert again.begun == ["1" * 64]
    again.begin("2" * 64, 2)
    assert Draft.take_up(tmp_path / "draft", recipe(SEALED), None).begun == ["1" * 64, "2" * 64]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{}\n", b"no JSON\n"])
def test_what_is_no_draft_begins_anew(tmp_path: Path, content: bytes) -> None:
    place = tmp_path / "draft"
    place.mkdir()
    (place / "segments").write_bytes(content)
    assert Draft.take_up(place, recipe(SEALED), None).begun == []


def test_a_draft_is_nobody_elses_and_can_be_removed_twice(tmp_path: Path) -> None:
    place = tmp_path / "draft"
    Draft.take_up(place, recipe(SEALED), None)
    assert stat.S_IMODE((place / "segments").stat().st_mode) == 0o600
    assert stat.S_IMODE((place / draft.KEPT).stat().st_mode) == 0o700
    draft.discard(place)
    draft.discard(place)
    assert not place.exists()


def test_a_disk_that_refuses_is_an_error_and_nothing_is_sent(mortal: Mortal, take_up: TakeUp, tmp_path: Path) -> None:
    begun = take_up(SEALED)
    (tmp_path / "draft" / "segments").unlink()
    (tmp_path / "draft" / "segments").mkdir()
    with pytest.raises(SystemFailure, match="Writing"):
        write(mortal, CONTENT, SEALED, begun)
    assert mortal.sent == {}
