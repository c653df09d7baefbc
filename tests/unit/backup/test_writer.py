"""From a source into a store: what is there afterwards, and what is not when it fails."""

import hashlib
import threading
import time
from collections.abc import Iterable, Mapping

import pytest
from msgspec.structs import replace as but

from guestagent.backup import encryption, writer
from guestagent.backup.keyring import Keyring
from guestagent.backup.patience import Patience
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import DatastoreError, StorageError
from guestagent.storage.local import LocalStorage
from tests.support.interruptions import PROMPT, cancelled_once, descriptors, timed_out_after
from tests.unit.backup.streams import (
    BACKUP,
    CONTAINER,
    CONTEXT,
    KEYS,
    SMALL,
    Shaky,
    Text,
    manifest_of,
    objects,
    read,
    rows,
    write,
)

CONTENT = rows(1_500_000)
RAW = but(SMALL, compression="none")


def test_a_stream_becomes_numbered_segments_of_one_size(storage: Shaky) -> None:
    write(storage, CONTENT, RAW)
    found = objects(storage)
    assert list(found) == [f"{BACKUP}/{number:08d}" for number in range(1, len(found) + 1)]
    assert b"".join(found.values()) == CONTENT
    assert {len(content) for content in list(found.values())[:-1]} == {1 << 16}


def test_what_was_written_is_described_as_it_lies_in_the_store(storage: Shaky) -> None:
    written = write(storage, CONTENT)
    found = objects(storage)
    assert (written.size, written.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert written.stored == sum(map(len, found.values())) < len(CONTENT)
    assert (written.compression, written.encryption) == ("zstd", None)
    assert written.taken.positions == {"lsn": 17}
    for segment, (name, content) in zip(written.segments, found.items(), strict=True):
        assert f"{BACKUP}/{segment.name}" == name
        assert segment.size == len(content)
        assert segment.sha256 == hashlib.sha256(content).hexdigest()
        assert segment.md5 == "", "this store does not ask for it"


def test_a_store_that_knows_objects_by_their_md5_is_told_it(storage: Shaky, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shaky, "knows_md5", True)
    written = write(storage, CONTENT)
    digests = [hashlib.md5(content).hexdigest() for content in objects(storage).values()]
    assert [segment.md5 for segment in written.segments] == digests


def test_an_encrypted_backup_names_its_key_and_shows_nothing(storage: Shaky) -> None:
    written = write(storage, CONTENT, but(RAW, algorithm="AES-256-GCM", keys=KEYS))
    assert written.encryption is not None
    assert (written.encryption.algorithm, written.encryption.key_id) == ("AES-256-GCM", "first")
    assert CONTENT[100:130] not in b"".join(objects(storage).values())
    assert written.stored == len(CONTENT) + 24 + 16 * -(-len(CONTENT) // encryption.FRAME)


@pytest.mark.parametrize("size", [0, 1, (1 << 16) - 1, 1 << 16, (1 << 16) + 1, 1 << 20])
def test_streams_of_any_length_are_written(storage: Shaky, size: int) -> None:
    written = write(storage, CONTENT[:size], RAW)
    assert written.size == written.stored == size
    assert [segment.size for segment in written.segments][:-1] == [1 << 16] * ((size - 1) // (1 << 16))


def test_a_source_that_gives_little_at_a_time_is_read_to_its_end(storage: Shaky) -> None:
    source = Text(CONTENT, most=1000)
    written = writer.write(source, storage, CONTEXT, CONTAINER, BACKUP, SMALL)
    assert source.finished == 1
    assert written.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert read(storage, manifest_of(written)) == CONTENT


def test_progress_only_ever_advances_and_ends_at_the_whole(storage: Shaky) -> None:
    heard: list[tuple[int, int | None]] = []
    write(storage, CONTENT, progress=lambda done, total: heard.append((done, total)), expected=1_000_000)
    assert heard == sorted(heard)
    assert heard[0][1] == 1_000_000
    assert all(total is not None and done <= total for done, total in heard)
    assert heard[-1] == (len(CONTENT), len(CONTENT))


def test_what_a_source_fails_with_goes_on_and_nothing_stays(storage: Shaky) -> None:
    error = DatastoreError(subject="The backup", problem="the server went away")
    with pytest.raises(DatastoreError, match="went away"):
        writer.write(Text(CONTENT * 4, failure=error), storage, CONTEXT, CONTAINER, BACKUP, SMALL)
    assert storage.asked > 0
    assert objects(storage) == {}


@pytest.mark.usefixtures("promptly")
def test_a_store_that_refuses_now_and_then_is_asked_again(storage: Shaky) -> None:
    storage.refusals, storage.forgetful = 7, 3
    written = write(storage, CONTENT, but(RAW, patience=Patience(retries=10, seconds=0)))
    assert storage.refusals < 0
    assert storage.forgetful < 0
    assert b"".join(objects(storage).values()) == CONTENT
    assert read(storage, manifest_of(written)) == CONTENT


@pytest.mark.usefixtures("promptly")
def test_a_store_that_refuses_for_ever_is_given_up_and_nothing_stays(storage: Shaky) -> None:
    source = Text(CONTENT)
    put = storage.put

    def put_some(
        context: RequestContext,
        container: str,
        name: str,
        chunks: Iterable[bytes],
        metadata: Mapping[str, str] | None = None,
    ) -> int:
        if name.endswith("3"):
            raise StorageError(subject=f"Writing {name}", problem="over quota")
        return put(context, container, name, chunks, metadata)

    storage.put = put_some  # type: ignore[method-assign]
    with pytest.raises(StorageError, match="00000003 failed: over quota"):
        writer.write(source, storage, CONTEXT, CONTAINER, BACKUP, but(RAW, patience=Patience(2, 0)))
    assert objects(storage) == {}
    assert source.finished == 0 or not source.left


def test_a_store_that_keeps_less_than_it_was_given_is_not_believed(storage: Shaky) -> None:
    storage.forgetful = 1000
    with pytest.raises(StorageError, match=f"the store has {(1 << 16) - 1} bytes of it, not {1 << 16}"):
        write(storage, CONTENT, RAW)


def test_what_cannot_be_removed_is_logged_and_the_first_error_goes_on(
    storage: Shaky, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise StorageError(subject="Deleting", problem="the network is away")

    monkeypatch.setattr(storage, "delete", refuse)
    error = DatastoreError(subject="The backup", problem="the server went away")
    with pytest.raises(DatastoreError):
        writer.write(Text(CONTENT * 4, failure=error), storage, CONTEXT, CONTAINER, BACKUP, SMALL)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"What backup '{BACKUP}' has left in {CONTAINER} stays there" in caplog.text


class Slow(LocalStorage):
    """A store that takes a while for each object, and knows how many it is given at a time."""

    seconds = 0.05
    now = most = 0
    lock = threading.Lock()

    def put(
        self,
        context: RequestContext,
        container: str,
        name: str,
        chunks: Iterable[bytes],
        metadata: Mapping[str, str] | None = None,
    ) -> int:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.seconds)
        try:
            return super().put(context, container, name, chunks, metadata)
        finally:
            with self.lock:
                self.now -= 1


@pytest.mark.parametrize("parallel", [1, 2, 4])
def test_so_many_segments_are_sent_at_a_time_and_no_more(storage: Shaky, parallel: int) -> None:
    slow = Slow(storage.conf)
    write(slow, CONTENT, but(RAW, parallel=parallel))
    assert slow.most == parallel


def test_a_cancel_while_it_uploads_ends_it_and_leaves_nothing(storage: Shaky) -> None:
    slow = Slow(storage.conf)
    before, threads = len(descriptors()), threading.active_count()
    with cancelled_once(lambda: len(storage.list(CONTEXT, CONTAINER)) >= 3):
        write(slow, CONTENT, RAW)
    assert objects(storage) == {}
    assert len(descriptors()) <= before
    assert threading.active_count() <= threads


def test_a_cancel_while_it_waits_for_the_network_ends_it(storage: Shaky) -> None:
    storage.refusals = 10_000
    with cancelled_once(lambda: storage.asked >= 2):
        write(storage, CONTENT, but(RAW, patience=Patience(100, 100)))
    assert objects(storage) == {}


def test_a_cancel_ends_what_a_limit_holds_up(storage: Shaky) -> None:
    for settings in (but(RAW, bandwidth_limit=100_000), but(RAW, io_limit=100_000)):
        with cancelled_once(lambda: storage.asked or threading.active_count() > 1):
            write(storage, CONTENT, settings)
        assert objects(storage) == {}


def test_the_end_of_the_step_ends_it_and_leaves_nothing(storage: Shaky) -> None:
    with timed_out_after(0.3):
        write(storage, CONTENT, but(RAW, bandwidth_limit=100_000))
    assert objects(storage) == {}


def test_what_goes_to_the_store_is_held_to_its_rate(storage: Shaky) -> None:
    began = time.monotonic()
    write(storage, CONTENT, but(RAW, bandwidth_limit=1_500_000))
    assert 0.8 <= time.monotonic() - began < 1 + PROMPT


def test_what_comes_from_the_source_is_held_to_its_rate(storage: Shaky) -> None:
    began = time.monotonic()
    write(storage, bytes(1_500_000), but(SMALL, io_limit=1_500_000))
    assert 0.8 <= time.monotonic() - began < 1 + PROMPT


def test_the_source_is_read_where_a_cancel_is_heard(storage: Shaky) -> None:
    readers = set()

    class Watched(Text):
        def read(self, size: int) -> bytes:
            readers.add(threading.current_thread())
            return super().read(size)

    writer.write(Watched(CONTENT), storage, CONTEXT, CONTAINER, BACKUP, SMALL)
    assert readers == {threading.current_thread()}


def test_two_backups_with_one_key_share_nothing(storage: Shaky) -> None:
    settings = but(RAW, algorithm="ChaCha20-Poly1305", keys=Keyring({"k": b"k" * 32}))
    write(storage, CONTENT, settings)
    first = objects(storage)
    write(storage, CONTENT, settings)
    assert not set(first.values()) & set(objects(storage).values())
