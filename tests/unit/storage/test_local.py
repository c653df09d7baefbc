"""The local directory as an object store."""

import errno
import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from oslo_config import cfg

from guestagent import conf as options
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import InvalidValue, NotFound, StorageError
from guestagent.storage.base import Part, StoreFull, StoreReadOnly
from guestagent.storage.local import LocalStorage
from tests.unit.storage.full_disk import full_disk

CONTEXT = RequestContext()
PATIENCE = 10

ESCAPES = ["", ".", "..", "/", "/etc/passwd", "../x", "a/../../x", "a/..", "..\0", "a\0b", "\ud800"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "store"


@pytest.fixture
def storage(root: Path) -> LocalStorage:
    conf = cfg.ConfigOpts()
    options.register(conf)
    conf([], default_config_files=[], default_config_dirs=[])
    conf.set_override("storage_dir", str(root), group="agent")
    return LocalStorage(conf)


def read(storage: LocalStorage, container: str, name: str) -> bytes:
    return b"".join(storage.get(CONTEXT, container, name))


def everything(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_an_object_comes_back_as_it_was_put(storage: LocalStorage) -> None:
    content = os.urandom(3_000_000)
    chunks = [content[:1], b"", content[1:2_000_000], content[2_000_000:]]
    assert storage.put(CONTEXT, "logs", "id/general/log-1", iter(chunks)) == len(content)
    assert read(storage, "logs", "id/general/log-1") == content


def test_big_objects_come_in_bounded_chunks(storage: LocalStorage) -> None:
    storage.put(CONTEXT, "logs", "big", [b"x" * 3_000_000])
    assert max(len(chunk) for chunk in storage.get(CONTEXT, "logs", "big")) <= 1 << 20


def test_an_empty_object_is_an_object(storage: LocalStorage) -> None:
    assert storage.put(CONTEXT, "logs", "empty", []) == 0
    assert read(storage, "logs", "empty") == b""
    assert storage.list(CONTEXT, "logs") == ["empty"]


def test_putting_again_replaces(storage: LocalStorage) -> None:
    storage.put(CONTEXT, "logs", "a", [b"a longer text"])
    storage.put(CONTEXT, "logs", "a", [b"short"])
    assert read(storage, "logs", "a") == b"short"


def test_objects_are_for_the_agent_alone(storage: LocalStorage, root: Path) -> None:
    storage.put(CONTEXT, "logs", "id/a", [b"x"])
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert stat.S_IMODE((root / "logs" / "id" / "a").stat().st_mode) == 0o600


def test_names_are_listed_sorted_and_by_prefix(storage: LocalStorage) -> None:
    for name in ("id/db-slow/log-2", "id/db-slow/log-1", "id/db-slow_metafile", "id/db-slow2/log-1", "other"):
        storage.put(CONTEXT, "logs", name, [b"x"])
    storage.put(CONTEXT, "backups", "id/db-slow/log-3", [b"x"])
    assert storage.list(CONTEXT, "logs", "id/db-slow/") == ["id/db-slow/log-1", "id/db-slow/log-2"]
    assert len(storage.list(CONTEXT, "logs", "id/db-slow")) == 4
    assert storage.list(CONTEXT, "logs")[-1] == "other"
    assert storage.list(CONTEXT, "logs", "zz") == []


def test_a_container_that_is_not_there_is_empty(storage: LocalStorage) -> None:
    assert storage.list(CONTEXT, "logs") == []


@pytest.mark.parametrize("name", ["a", "a/b", "there/not-there", "there/is/a", "there"])
def test_an_object_that_is_not_there_is_not_found_at_once(storage: LocalStorage, name: str) -> None:
    storage.put(CONTEXT, "logs", "there/is", [b"x"])
    with pytest.raises(NotFound, match=f"logs/{name}"):
        storage.get(CONTEXT, "logs", name)


@pytest.mark.parametrize("name", ["a", "a/b", "there/not-there", "there/is/a", "there"])
def test_deleting_what_is_not_there_changes_nothing(storage: LocalStorage, root: Path, name: str) -> None:
    storage.put(CONTEXT, "logs", "there/is", [b"x"])
    storage.delete(CONTEXT, "logs", name)
    assert everything(root) == {"logs/there/is"}


def test_a_deleted_object_is_gone(storage: LocalStorage) -> None:
    storage.put(CONTEXT, "logs", "a/b", [b"x"])
    storage.delete(CONTEXT, "logs", "a/b")
    storage.delete(CONTEXT, "logs", "a/b")
    assert storage.list(CONTEXT, "logs") == []
    with pytest.raises(NotFound):
        storage.get(CONTEXT, "logs", "a/b")


@pytest.mark.parametrize("name", ESCAPES, ids=repr)
def test_no_name_leaves_its_container(storage: LocalStorage, tmp_path: Path, name: str) -> None:
    storage.put(CONTEXT, "other", "x", [b"other's"])
    before = everything(tmp_path)
    with pytest.raises(InvalidValue):
        storage.put(CONTEXT, "logs", name, [b"x"])
    with pytest.raises(InvalidValue):
        storage.get(CONTEXT, "logs", name)
    with pytest.raises(InvalidValue):
        storage.delete(CONTEXT, "logs", name)
    assert everything(tmp_path) == before


@pytest.mark.parametrize("container", [*ESCAPES, "logs/x", ".unfinished-abc"], ids=repr)
def test_no_container_is_anywhere_but_below_the_root(storage: LocalStorage, tmp_path: Path, container: str) -> None:
    (tmp_path / "x").write_text("outside")
    with pytest.raises(InvalidValue):
        storage.put(CONTEXT, container, "x", [b"x"])
    with pytest.raises(InvalidValue):
        storage.get(CONTEXT, container, "x")
    with pytest.raises(InvalidValue):
        storage.delete(CONTEXT, container, "x")
    with pytest.raises(InvalidValue):
        storage.list(CONTEXT, container)
    assert everything(tmp_path) == {"x"}


@pytest.mark.parametrize("name", ["with space", "quote'\"`$(id)", "new\nline", "ünïcödé", "...", "-rf", "a..b", "*"])
def test_strange_names_are_names(storage: LocalStorage, name: str) -> None:
    storage.put(CONTEXT, "logs", name, [b"x"])
    assert storage.list(CONTEXT, "logs") == [name]
    assert read(storage, "logs", name) == b"x"


def test_a_name_that_the_file_system_cannot_hold_is_refused(storage: LocalStorage, root: Path) -> None:
    with pytest.raises(StorageError, match="File name too long"):
        storage.put(CONTEXT, "logs", "x" * 300, [b"x"])
    with pytest.raises(StorageError, match="File name too long"):
        storage.get(CONTEXT, "logs", "x" * 300)
    with pytest.raises(StorageError, match="File name too long"):
        storage.delete(CONTEXT, "logs", "x" * 300)
    assert everything(root) == set()


@pytest.mark.parametrize("name", ["a", "a/b/c"])
def test_an_object_and_a_directory_cannot_share_a_name(storage: LocalStorage, root: Path, name: str) -> None:
    storage.put(CONTEXT, "logs", "a/b", [b"first"])
    with pytest.raises(StorageError):
        storage.put(CONTEXT, "logs", name, [b"second"])
    assert everything(root) == {"logs/a/b"}
    assert read(storage, "logs", "a/b") == b"first"


def test_a_full_disk_is_reported_and_leaves_the_old_object(storage: LocalStorage, root: Path) -> None:
    storage.put(CONTEXT, "logs", "a", [b"old"])
    with full_disk(room=100_000), pytest.raises(StoreFull, match="Writing logs/a to the local store failed"):
        storage.put(CONTEXT, "logs", "a", (b"x" * 10_000 for _ in range(20)))
    assert read(storage, "logs", "a") == b"old"
    assert everything(root) == {"logs/a"}, "nothing unfinished is left"


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, StoreFull),
        (errno.EDQUOT, StoreFull),
        (errno.EROFS, StoreReadOnly),
        (errno.EACCES, StoreReadOnly),
        (errno.EIO, StorageError),
    ],
)
def test_what_the_disk_says_has_an_error_of_its_own(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[StorageError]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("guestagent.system.files.ensure_directory", refuse)
    with pytest.raises(StorageError, match=os.strerror(number)) as refused:
        storage.put(CONTEXT, "logs", "a", [b"new"])
    assert type(refused.value) is kind
    # It is not better in a moment, unless it is the disk's own mistake.
    assert refused.value.hopeless is (number != errno.EIO)


def test_a_disk_that_cannot_be_read_is_an_error_of_the_store(storage: LocalStorage, root: Path) -> None:
    storage.put(CONTEXT, "logs", "a", [b"x"])
    (root / "logs" / "a").unlink()
    # Reading one's own memory from its beginning is refused, after it was opened.
    (root / "logs" / "a").symlink_to("/proc/self/mem")
    with pytest.raises(StorageError, match="Reading logs/a from the local store failed: Input/output error"):
        list(storage.get(CONTEXT, "logs", "a"))


def test_a_source_that_fails_leaves_the_old_object(storage: LocalStorage, root: Path) -> None:
    def source() -> Iterator[bytes]:
        yield b"new"
        raise RuntimeError("the dump ended early")

    storage.put(CONTEXT, "logs", "a", [b"old"])
    with pytest.raises(RuntimeError, match="ended early"):
        storage.put(CONTEXT, "logs", "a", source())
    assert read(storage, "logs", "a") == b"old"
    assert everything(root) == {"logs/a"}


def test_an_object_is_not_there_until_it_is_whole(storage: LocalStorage) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def source() -> Iterator[bytes]:
        yield b"first "
        begun.set()
        assert go_on.wait(PATIENCE)
        yield b"second"

    with ThreadPoolExecutor(1) as writer:
        writing = writer.submit(storage.put, CONTEXT, "logs", "a", source())
        assert begun.wait(PATIENCE)
        try:
            assert storage.list(CONTEXT, "logs") == []
            with pytest.raises(NotFound):
                storage.get(CONTEXT, "logs", "a")
        finally:
            go_on.set()
        assert writing.result(PATIENCE) == 12
    assert read(storage, "logs", "a") == b"first second"


def test_a_reader_keeps_the_object_that_it_began_to_read(storage: LocalStorage) -> None:
    storage.put(CONTEXT, "logs", "a", [b"x" * 2_000_000])
    reader = storage.get(CONTEXT, "logs", "a")
    first = next(reader)
    storage.put(CONTEXT, "logs", "a", [b"new"])
    storage.delete(CONTEXT, "logs", "a")
    assert first + b"".join(reader) == b"x" * 2_000_000


def test_of_two_who_put_the_same_name_one_wins_whole(storage: LocalStorage, root: Path) -> None:
    together = threading.Barrier(4)

    def source(letter: bytes) -> Iterator[bytes]:
        for _ in range(50):
            together.wait(PATIENCE)
            yield letter * 1000

    letters = [b"a", b"b", b"c", b"d"]
    with ThreadPoolExecutor(4) as writers:
        sizes = list(writers.map(lambda letter: storage.put(CONTEXT, "logs", "x", source(letter)), letters))
    assert sizes == [50_000] * 4
    assert read(storage, "logs", "x") in [letter * 50_000 for letter in letters]
    assert everything(root) == {"logs/x"}


def test_an_object_has_its_size(storage: LocalStorage) -> None:
    storage.put(CONTEXT, "backups", "id/1", [b"abc", b"de"])
    storage.put(CONTEXT, "backups", "id/2", [])
    assert storage.size(CONTEXT, "backups", "id/1") == 5
    assert storage.size(CONTEXT, "backups", "id/2") == 0


@pytest.mark.parametrize("name", ["a", "a/b", "there/not-there", "there/is/a", "there"])
def test_what_is_not_there_has_no_size(storage: LocalStorage, name: str) -> None:
    storage.put(CONTEXT, "backups", "there/is", [b"x"])
    with pytest.raises(NotFound, match=f"backups/{name}"):
        storage.size(CONTEXT, "backups", name)


@pytest.mark.parametrize("name", ESCAPES, ids=repr)
def test_no_size_is_told_of_what_lies_elsewhere(storage: LocalStorage, name: str) -> None:
    with pytest.raises(InvalidValue):
        storage.size(CONTEXT, "backups", name)


def part(storage: LocalStorage, name: str, content: bytes) -> Part:
    """A part that is in the store."""
    storage.put(CONTEXT, "backups", name, [content])
    return Part(name, len(content), hashlib.md5(content).hexdigest())


def test_a_joined_object_is_found_by_its_location(storage: LocalStorage) -> None:
    parts = [part(storage, "id/1", b"one "), part(storage, "id/2", b"two")]
    joined = storage.join(CONTEXT, "backups", "id.backup", parts)
    container, name = storage.locate(joined.location)
    assert (container, name) == ("backups", "id.backup")
    assert joined.checksum == hashlib.md5(read(storage, container, name)).hexdigest()


def test_parts_stay_when_they_are_joined_and_are_not_copied(storage: LocalStorage) -> None:
    parts = [part(storage, f"id/{number}", b"x" * 100_000) for number in range(5)]
    storage.join(CONTEXT, "backups", "id.backup", parts)
    assert [storage.size(CONTEXT, "backups", one.name) for one in parts] == [100_000] * 5
    assert storage.size(CONTEXT, "backups", "id.backup") < 1000


def test_joining_again_changes_nothing(storage: LocalStorage) -> None:
    parts = [part(storage, "id/1", b"one "), part(storage, "id/2", b"two")]
    assert storage.join(CONTEXT, "backups", "a", parts) == storage.join(CONTEXT, "backups", "a", parts)


def test_what_was_joined_tells_its_parts_and_their_order(storage: LocalStorage) -> None:
    one, two = part(storage, "id/1", b"one"), part(storage, "id/2", b"two")
    sums = {storage.join(CONTEXT, "backups", "a", parts).checksum for parts in ([one, two], [two, one], [one])}
    assert len(sums) == 3


def test_a_part_that_is_not_there_or_is_another_one_cannot_be_joined(storage: LocalStorage) -> None:
    there = part(storage, "id/1", b"one")
    with pytest.raises(NotFound, match="id/2"):
        storage.join(CONTEXT, "backups", "a", [there, Part("id/2", 3, "")])
    storage.put(CONTEXT, "backups", "id/1", [b"longer"])
    with pytest.raises(StorageError, match="id/1"):
        storage.join(CONTEXT, "backups", "a", [there])
    assert storage.list(CONTEXT, "backups") == ["id/1"]


@pytest.mark.parametrize(
    "location", ["", "backups/a", "local://", "local://backups", "local://backups/", "local:///a", "swift://backups/a"]
)
def test_what_is_no_location_of_this_store_is_refused(storage: LocalStorage, location: str) -> None:
    with pytest.raises(InvalidValue):
        storage.locate(location)


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/etc/passwd", "a\0b"], ids=repr)
def test_no_location_leads_out_of_its_container(storage: LocalStorage, name: str) -> None:
    with pytest.raises(InvalidValue):
        storage.locate(f"local://backups/{name}")
    with pytest.raises(InvalidValue):
        storage.locate("local://../x")


def test_a_local_store_is_the_same_whatever_a_request_names(storage: LocalStorage) -> None:
    assert storage.at(None) is storage
    assert storage.at("http://elsewhere/v1") is storage


def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files and directories that are synced from now on."""
    names: list[str] = []
    fsync = os.fsync

    def sync(handle: int) -> None:
        names.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", sync)
    return names


def test_objects_of_a_batch_are_durable_at_its_end(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.put(CONTEXT, "backups", "b1/earlier", [b"x"])
    names = synced(monkeypatch)

    with storage.batch("backups", "b1"):
        storage.put(CONTEXT, "backups", "b1/1", [b"x"])
        storage.put(CONTEXT, "backups", "b1/2", [b"x"])
        assert names == []

    assert set(names) == {"1", "2", "earlier", "b1", "backups", "store"}


def test_objects_beside_a_batch_and_after_it_are_durable_at_once(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = synced(monkeypatch)

    with storage.batch("backups", "b1"):
        storage.put(CONTEXT, "backups", "b2/1", [b"x"])
        assert len(names) == 2
    del names[:]
    storage.put(CONTEXT, "backups", "b1/1", [b"x"])

    assert len(names) == 2


def test_a_batch_that_failed_or_has_nothing_is_not_synced(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = synced(monkeypatch)

    with storage.batch("backups", "b1"):
        pass
    with pytest.raises(InvalidValue), storage.batch("backups", "b1"):
        storage.put(CONTEXT, "backups", "../b1/1", [b"x"])

    assert names == []
