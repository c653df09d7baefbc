"""Frames that nobody can change, move, leave out or add, and keys that are told from damage."""

import random
from collections.abc import Iterable

import pytest

from guestagent.backup import encryption
from guestagent.backup.encryption import AES, ALGORITHMS, CHACHA20, HEAD_BYTES, TAG_BYTES, FrameDamaged, WrongKey
from guestagent.backup.keyring import Keyring, UnknownKey
from guestagent.backup.manifest import Encryption, ManifestInvalid
from tests.unit.backup.streams import BACKUP, KEYS, pieces

FRAME = 50
SEALED = FRAME + TAG_BYTES
CONTENT = random.Random(9).randbytes(4 * FRAME + 20)


def how(algorithm: str = AES, key_id: str = "first", salt: str = "5a" * 32, frame: int = FRAME) -> Encryption:
    return Encryption(algorithm, key_id, salt, frame)


def encrypt(content: bytes, by: Encryption, keys: Keyring = KEYS, backup: str = BACKUP) -> bytes:
    return b"".join(encryption.encrypt(pieces(content, 33), by, keys, backup))


def decrypt(stored: bytes, by: Encryption, keys: Keyring = KEYS, backup: str = BACKUP, size: int = 41) -> bytes:
    return b"".join(encryption.decrypt(pieces(stored, size), by, keys, backup, lambda byte: f"byte {byte}"))


def frames(stored: bytes) -> list[bytes]:
    return pieces(stored[HEAD_BYTES:], SEALED)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("size", [0, 1, FRAME - 1, FRAME, FRAME + 1, 2 * FRAME, 5 * FRAME + 7])
def test_what_comes_out_is_what_went_in(algorithm: str, size: int) -> None:
    content = random.Random(size).randbytes(size)
    for chunk in (1, 17, SEALED, 10_000):
        assert decrypt(encrypt(content, how(algorithm)), how(algorithm), size=chunk) == content


def test_a_new_backup_names_its_frames_a_salt_of_its_own_and_the_current_key() -> None:
    one, two = encryption.begin(CHACHA20, KEYS), encryption.begin(CHACHA20, KEYS)
    assert (one.algorithm, one.key_id, one.frame) == (CHACHA20, "first", encryption.FRAME)
    assert len(bytes.fromhex(one.salt)) == 32
    assert one.salt != two.salt


def test_nothing_of_the_text_or_the_key_is_in_what_is_stored() -> None:
    stored = encrypt(b"a well-known text " * 20, how())
    assert b"well-known" not in stored
    assert KEYS.key("first", BACKUP)[:8] not in stored
    assert encrypt(CONTENT, how(salt="00" * 32)) != encrypt(CONTENT, how(salt="01" * 32))


def test_the_key_of_a_backup_is_that_of_hkdf() -> None:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    info = b"guestagent backup AES-256-GCM"
    derived = HKDF(SHA256(), 48, bytes.fromhex(how().salt), info).derive(KEYS.key("first", BACKUP))
    stored = encrypt(CONTENT, how())
    assert stored[:HEAD_BYTES] == encryption.MAGIC + derived[32:]
    bound = f"{BACKUP}\0{1}\0{0}".encode()
    assert AESGCM(derived[:32]).decrypt((1).to_bytes(12, "big"), frames(stored)[1], bound) == CONTENT[FRAME : 2 * FRAME]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_flipped_bit_is_noticed_before_a_byte_of_its_frame_is_handed_on(algorithm: str) -> None:
    stored = encrypt(CONTENT, how(algorithm))
    for position in range(len(stored)):
        damaged = bytearray(stored)
        damaged[position] ^= 1 << position % 8
        found: list[bytes] = []
        with pytest.raises(FrameDamaged) as raised:
            found.extend(encryption.decrypt([bytes(damaged)], how(algorithm), KEYS, BACKUP, str))
        assert BACKUP in str(raised.value)
        if position < HEAD_BYTES:
            assert found == []
            assert "at 0: " in str(raised.value)
        else:
            number = (position - HEAD_BYTES) // SEALED
            assert b"".join(found) == CONTENT[: number * FRAME]
            assert f"at {HEAD_BYTES + number * SEALED}: frame {number} is damaged" in str(raised.value)


def test_every_truncation_is_noticed() -> None:
    for content in (b"", CONTENT, CONTENT[: 3 * FRAME]):
        stored = encrypt(content, how())
        for end in range(len(stored)):
            with pytest.raises(FrameDamaged) as raised:
                decrypt(stored[:end], how())
            if end > HEAD_BYTES and (end - HEAD_BYTES) % SEALED == 0:
                assert "others should follow" in str(raised.value)


def test_what_is_added_is_noticed() -> None:
    stored = encrypt(CONTENT[: 2 * FRAME], how())
    for more in (b"x", frames(stored)[-1], bytes(SEALED)):
        with pytest.raises(FrameDamaged, match="something follows it"):
            decrypt(stored + more, how())
    with pytest.raises(FrameDamaged):
        decrypt(encrypt(CONTENT, how()) + b"x", how())


def test_frames_that_were_swapped_left_out_or_repeated_are_noticed() -> None:
    stored = encrypt(CONTENT, how())
    head, parts = stored[:HEAD_BYTES], frames(stored)
    orders = [list(range(len(parts))) for _ in range(20)]
    for number, order in enumerate(orders):
        other = (number + 1 + number // len(parts)) % len(parts)
        order[number % len(parts)], order[other] = order[other], order[number % len(parts)]
    orders += [[n for n in range(len(parts)) if n != left_out] for left_out in range(len(parts))]
    orders += [[0, *range(len(parts))], [*range(len(parts)), len(parts) - 1]]
    for order in orders:
        if order == list(range(len(parts))):
            continue
        with pytest.raises(FrameDamaged):
            decrypt(head + b"".join(parts[n] for n in order), how())


def test_frames_of_another_backup_or_algorithm_are_noticed() -> None:
    stored = encrypt(CONTENT, how())
    with pytest.raises(FrameDamaged, match="frame 0 is damaged"):
        decrypt(stored, how(), backup="another")
    elsewhere = encrypt(CONTENT, how(), backup="another")
    mixed = stored[: HEAD_BYTES + SEALED] + elsewhere[HEAD_BYTES + SEALED :]
    with pytest.raises(FrameDamaged, match="frame 1 is damaged"):
        decrypt(mixed, how())
    with pytest.raises(WrongKey):
        decrypt(stored, how(CHACHA20))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("content", [b"", b"x", CONTENT[:FRAME], CONTENT])
def test_another_key_of_the_same_name_is_told_from_damage(algorithm: str, content: bytes) -> None:
    stored = encrypt(content, how(algorithm))
    others = Keyring({"first": b"another key of thirty-two bytes."})
    with pytest.raises(WrongKey, match=f"key 'first' .* backup '{BACKUP}'"):
        decrypt(stored, how(algorithm), others)
    with pytest.raises(WrongKey):
        decrypt(stored, how(algorithm, salt="00" * 32))


def test_a_key_that_is_not_there_is_named() -> None:
    stored = encrypt(CONTENT, how())
    with pytest.raises(UnknownKey, match=f"'{BACKUP}' is encrypted with key 'first'"):
        decrypt(stored, how(), Keyring({"second": b"2" * 32}))


def test_old_backups_outlive_a_new_key() -> None:
    old = Keyring({"2024": b"4" * 32})
    new = Keyring({"2025": b"5" * 32, "2024": b"4" * 32})
    before = encryption.begin(AES, old)
    stored = b"".join(encryption.encrypt([CONTENT], before, old, BACKUP))
    after = encryption.begin(AES, new)
    assert (before.key_id, after.key_id) == ("2024", "2025")
    assert decrypt(stored, before, new) == CONTENT
    assert decrypt(b"".join(encryption.encrypt([CONTENT], after, new, BACKUP)), after, new) == CONTENT


@pytest.mark.parametrize(
    "by", [how("DES"), how(salt="no hex"), how(frame=0), how(frame=-5), how(frame=1 << 40)], ids=repr
)
def test_a_manifest_that_makes_no_sense_is_refused(by: Encryption) -> None:
    with pytest.raises(ManifestInvalid):
        decrypt(encrypt(CONTENT, how()), by)


def test_memory_holds_one_frame() -> None:
    def endless() -> Iterable[bytes]:
        while True:
            yield b"x" * FRAME

    made = encryption.encrypt(endless(), how(), KEYS, BACKUP)
    assert [len(next(made)) for _ in range(100)] == [HEAD_BYTES] + [SEALED] * 99


def test_where_a_byte_of_the_text_is_in_what_is_stored() -> None:
    assert encryption.before(123, None) == 123
    assert encryption.before(0, how()) == HEAD_BYTES
    assert encryption.before(2 * FRAME + 3, how()) == HEAD_BYTES + 2 * SEALED + 3
