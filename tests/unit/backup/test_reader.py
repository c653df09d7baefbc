"""From a store back to the stream: what is not the stream that was backed up is an error of its own that says where."""

import hashlib
import threading
import time

import msgspec
import pytest
from msgspec.structs import replace as but

from guestagent.backup import reader
from guestagent.backup.compression import METHODS, BlockDamaged
from guestagent.backup.encryption import ALGORITHMS, FRAME, FrameDamaged, WrongKey
from guestagent.backup.keyring import Keyring, UnknownKey
from guestagent.backup.manifest import Manifest, ManifestInvalid, Segment
from guestagent.backup.patience import Patience
from guestagent.backup.reader import StreamDamaged
from guestagent.backup.segments import SegmentDamaged, SegmentMissing
from guestagent.backup.settings import Settings
from guestagent.contract.errors import GuestAgentError, StorageError
from tests.support.interruptions import PROMPT, cancelled_once, descriptors
from tests.unit.backup.streams import (
    BACKUP,
    CONTAINER,
    CONTEXT,
    KEYS,
    SMALL,
    Shaky,
    manifest_of,
    objects,
    read,
    replace,
    rows,
    write,
)

CONTENT = rows(1_500_000)
RAW = but(SMALL, compression="none")
SEALED = but(SMALL, algorithm="AES-256-GCM", keys=KEYS)


def kept(storage: Shaky, settings: Settings = SMALL, content: bytes = CONTENT) -> Manifest:
    return manifest_of(write(storage, content, settings))


def believing(storage: Shaky, found: Manifest) -> Manifest:
    """The manifest as somebody would write it who wants the objects to be believed as they are now."""
    now = objects(storage)
    segments = []
    for segment in found.segments:
        content = now[f"{BACKUP}/{segment.name}"]
        segments.append(Segment(segment.name, len(content), hashlib.sha256(content).hexdigest(), segment.md5))
    return msgspec.structs.replace(found, segments=segments, stored=sum(segment.size for segment in segments))


@pytest.mark.parametrize("compression", METHODS)
@pytest.mark.parametrize("algorithm", [None, *ALGORITHMS])
@pytest.mark.parametrize("size", [0, 1, 65536, 1_500_000])
def test_what_comes_out_is_what_went_in(storage: Shaky, compression: str, algorithm: str | None, size: int) -> None:
    settings = but(SMALL, compression=compression, algorithm=algorithm, keys=KEYS)
    found = kept(storage, settings, CONTENT[:size])
    assert read(storage, found, but(SMALL, keys=KEYS)) == CONTENT[:size]


def test_how_it_is_read_does_not_depend_on_how_backups_are_written_now(storage: Shaky) -> None:
    found = kept(storage, but(SEALED, compression="gzip", level=6))
    now = Settings(compression="zstd", algorithm=None, keys=KEYS, segment_size=1 << 20, parallel=5, threads=4)
    assert read(storage, found, now) == CONTENT


def test_a_missing_segment_is_named(storage: Shaky) -> None:
    found = kept(storage)
    for number in (0, 3, len(found.segments) - 1):
        name = f"{BACKUP}/{found.segments[number].name}"
        content = objects(storage)[name]
        storage.delete(CONTEXT, CONTAINER, name)
        begin = sum(segment.size for segment in found.segments[:number])
        with pytest.raises(SegmentMissing, match=f"Segment {number + 1:08d} of backup '{BACKUP}'.* byte {begin} "):
            read(storage, found)
        replace(storage, found.segments[number].name, content)
    assert read(storage, found) == CONTENT


def test_every_flipped_bit_and_every_truncation_of_a_segment_is_noticed(storage: Shaky) -> None:
    found = kept(storage, but(RAW, segment_size=100), CONTENT[:450])
    for segment in found.segments:
        content = objects(storage)[f"{BACKUP}/{segment.name}"]
        for position in range(0, len(content), 7):
            damaged = bytearray(content)
            damaged[position] ^= 1 << position % 8
            for other, problem in (
                (bytes(damaged), "SHA-256 is another one"),
                (content[:position], f"it has {position} of its {segment.size} bytes"),
                (content + bytes(position + 1), f"longer than its {segment.size} bytes"),
            ):
                replace(storage, segment.name, other)
                with pytest.raises(SegmentDamaged, match=f"Segment {segment.name} of backup '{BACKUP}'.*{problem}"):
                    read(storage, found)
        replace(storage, segment.name, content)


def test_no_byte_of_a_damaged_segment_is_handed_on(storage: Shaky) -> None:
    found = kept(storage, RAW)
    content = bytearray(objects(storage)[f"{BACKUP}/00000003"])
    content[-1] ^= 1
    replace(storage, "00000003", bytes(content))
    came: list[bytes] = []
    with pytest.raises(SegmentDamaged):
        came.extend(reader.read(found, storage, CONTEXT, CONTAINER, RAW))
    assert b"".join(came) == CONTENT[: 2 << 16]


def test_segments_that_were_swapped_are_noticed(storage: Shaky) -> None:
    found = kept(storage)
    one, two = (objects(storage)[f"{BACKUP}/{name}"] for name in ("00000001", "00000002"))
    replace(storage, "00000001", two)
    replace(storage, "00000002", one)
    with pytest.raises(SegmentDamaged, match="00000001"):
        read(storage, found)


@pytest.mark.parametrize(
    "settings", [RAW, SMALL, but(SMALL, compression="gzip"), SEALED], ids=["raw", "zstd", "gzip", "sealed"]
)
def test_a_manifest_that_was_rewritten_to_fit_is_not_believed_either(storage: Shaky, settings: Settings) -> None:
    """What the checksums of segments do not notice, frames, blocks or the checksum of the stream do."""
    found = kept(storage, but(settings, segment_size=20_000), CONTENT[:150_000])
    segments = list(found.segments)
    errors: set[type[GuestAgentError]] = set()

    def refused(changed: Manifest) -> None:
        with pytest.raises((FrameDamaged, BlockDamaged, StreamDamaged)) as raised:
            read(storage, changed, settings)
        assert BACKUP in str(raised.value)
        errors.add(raised.type)

    for one in range(len(segments) - 1):
        swapped = list(segments)
        swapped[one], swapped[one + 1] = swapped[one + 1], swapped[one]
        refused(msgspec.structs.replace(found, segments=swapped))
        without = segments[:one] + segments[one + 1 :]
        refused(msgspec.structs.replace(found, segments=without))
        refused(msgspec.structs.replace(found, segments=without, stored=found.stored - segments[one].size))
    refused(msgspec.structs.replace(found, segments=segments[:-1], stored=found.stored - segments[-1].size))
    for segment in segments:
        content = objects(storage)[f"{BACKUP}/{segment.name}"]
        for position in range(0, len(content), 1999):
            damaged = bytearray(content)
            damaged[position] ^= 4
            replace(storage, segment.name, bytes(damaged))
            refused(believing(storage, found))
        replace(storage, segment.name, content)
    assert read(storage, found, settings) == CONTENT[:150_000]
    if settings is SEALED:
        assert errors == {FrameDamaged, StreamDamaged}


def test_a_damaged_frame_is_placed_in_its_segment(storage: Shaky) -> None:
    found = kept(storage, but(SEALED, compression="none"), rows(2_500_000))
    content = bytearray(objects(storage)[f"{BACKUP}/00000020"])
    content[5] ^= 1
    replace(storage, "00000020", bytes(content))
    number = ((19 << 16) + 5 - 24) // (FRAME + 16)
    frame = 24 + number * (FRAME + 16)
    left = frame % (1 << 16)
    place = rf"at byte {left} of segment {frame // (1 << 16) + 1:08d} \(byte {frame} of its stored stream\)"
    where = f"{place}: frame {number} is"
    with pytest.raises(FrameDamaged, match=where):
        read(storage, believing(storage, found), SEALED)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sha256": "00" * 32}, "SHA-256 of its 1500000 bytes is another one"),
        ({"size": 1_500_001}, "ends after 1500000 of 1500001 bytes"),
        ({"size": 1_499_999}, "goes on after 1499999 bytes"),
        ({"stored": 17}, "and there were 17"),
    ],
)
def test_a_stream_that_is_not_the_one_of_the_manifest_is_refused(
    storage: Shaky, change: dict[str, str | int], said: str
) -> None:
    found = msgspec.structs.replace(kept(storage), **change)
    with pytest.raises(StreamDamaged, match=f"'{BACKUP}'.*{said}"):
        read(storage, found)


def test_a_stream_with_checksums_of_its_own_is_not_hashed_once_more(storage: Shaky) -> None:
    written = write(storage, CONTENT, is_checksummed=True)
    assert written.sha256 is None
    assert read(storage, manifest_of(written)) == CONTENT


def test_who_does_not_read_to_the_end_hears_of_nothing(storage: Shaky) -> None:
    found = msgspec.structs.replace(kept(storage), sha256="00" * 32)
    before, threads = len(descriptors()), threading.active_count()
    stream = reader.read(found, storage, CONTEXT, CONTAINER, SMALL)
    assert CONTENT.startswith(next(stream))
    stream.close()  # type: ignore[attr-defined]
    assert len(descriptors()) <= before
    assert threading.active_count() <= threads


def test_a_key_that_is_missing_and_a_key_that_is_wrong_are_told_apart_and_from_damage(storage: Shaky) -> None:
    found = kept(storage, SEALED)
    for keys in (None, Keyring({"second": b"2" * 32})):
        with pytest.raises(UnknownKey, match="'first'"):
            read(storage, found, but(SMALL, keys=keys))
    with pytest.raises(WrongKey, match="'first'"):
        read(storage, found, but(SMALL, keys=Keyring({"first": b"2" * 32})))
    assert found.encryption is not None
    other = msgspec.structs.replace(found.encryption, key_id="second")
    with pytest.raises(WrongKey, match="'second'"):
        read(storage, msgspec.structs.replace(found, encryption=other), SEALED)


def test_old_backups_outlive_a_new_key(storage: Shaky) -> None:
    found = kept(storage, but(SMALL, algorithm="AES-256-GCM", keys=Keyring({"2024": b"4" * 32})))
    now = but(SMALL, algorithm="AES-256-GCM", keys=Keyring({"2025": b"5" * 32, "2024": b"4" * 32}))
    assert read(storage, found, now) == CONTENT
    assert kept(storage, now).encryption.key_id == "2025"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "change",
    [
        {"compression": "lzma"},
        {"segments": [Segment("00000001", 1 << 50, "", "")], "stored": 1 << 50},
        {"segments": [Segment("00000001", -5, "", "")], "stored": -5},
    ],
    ids=["compression", "size", "negative"],
)
def test_a_manifest_that_this_agent_cannot_read_is_refused(storage: Shaky, change: dict[str, object]) -> None:
    with pytest.raises(ManifestInvalid):
        read(storage, msgspec.structs.replace(kept(storage), **change))


@pytest.mark.usefixtures("promptly")
def test_a_store_that_refuses_now_and_then_is_asked_again(storage: Shaky) -> None:
    found = kept(storage, RAW)
    storage.refusals = 7
    assert read(storage, found, but(RAW, patience=Patience(10, 0))) == CONTENT
    storage.refusals = 10_000
    with pytest.raises(StorageError, match="network is away"):
        read(storage, found, but(RAW, patience=Patience(2, 0)))


def test_what_was_damaged_on_its_way_is_fetched_once_more(storage: Shaky, monkeypatch: pytest.MonkeyPatch) -> None:
    found = kept(storage, RAW)
    get, spoiled = storage.get, []

    def spoil(context: object, container: str, name: str) -> object:
        chunks = b"".join(get(CONTEXT, container, name))
        if name.endswith("2") and not spoiled:
            spoiled.append(name)
            return iter([chunks[:-3]])
        return iter([chunks])

    monkeypatch.setattr(storage, "get", spoil)
    assert read(storage, found, RAW) == CONTENT
    assert spoiled


def test_progress_only_ever_advances_and_ends_at_the_whole(storage: Shaky) -> None:
    found = kept(storage)
    heard: list[tuple[int, int | None]] = []
    read(storage, found, SMALL, lambda done, total: heard.append((done, total)))
    assert heard == sorted(heard)
    assert {total for _, total in heard} == {len(CONTENT)}
    assert heard[-1] == (len(CONTENT), len(CONTENT))


def test_so_many_segments_are_fetched_ahead_and_no_more(storage: Shaky) -> None:
    found = kept(storage, RAW)
    stream = reader.read(found, storage, CONTEXT, CONTAINER, but(RAW, parallel=3))
    asked = storage.asked
    next(stream)
    time.sleep(0.1)
    assert storage.asked - asked <= 3 + 1
    assert b"".join(stream)


def test_a_cancel_while_it_downloads_ends_it(storage: Shaky) -> None:
    found = kept(storage, RAW)
    asked, before, threads = storage.asked, len(descriptors()), threading.active_count()
    with cancelled_once(lambda: storage.asked > asked):
        read(storage, found, but(RAW, bandwidth_limit=100_000))
    assert len(descriptors()) <= before
    assert threading.active_count() <= threads


def test_a_cancel_while_it_waits_for_the_network_ends_it(storage: Shaky) -> None:
    found = kept(storage, RAW)
    storage.refusals = 10_000
    with cancelled_once(lambda: storage.refusals < 9_999):
        read(storage, found, but(RAW, patience=Patience(100, 100)))


def test_what_comes_from_the_store_is_held_to_its_rate(storage: Shaky) -> None:
    found = kept(storage, RAW)
    for settings in (but(RAW, bandwidth_limit=1_500_000), but(RAW, io_limit=1_500_000)):
        began = time.monotonic()
        read(storage, found, settings)
        assert 0.8 <= time.monotonic() - began < 1 + PROMPT
