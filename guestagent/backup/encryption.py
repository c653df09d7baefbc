"""Encrypting the stored stream in authenticated frames, none of which can be changed, moved, left out or added.

The stream begins with a head: :data:`MAGIC`, and a check of the key, by which a wrong key is told from damage. Frames
of equal length follow, the last of which may be shorter and is there even when nothing is in it. Each ends with the
tag of its cipher. The key of a backup, and its check, are made of a key of the guest's and a salt with HKDF-SHA256,
so that no two backups share one; the nonce of a frame is its number; and what is authenticated with it says of which
backup it is, which frame, and whether it is the last.
"""

import hashlib
import hmac
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

from guestagent.backup import manifest
from guestagent.backup.feed import Feed
from guestagent.backup.keyring import Keyring
from guestagent.backup.manifest import ManifestInvalid
from guestagent.contract.errors import GuestAgentError

AES, CHACHA20 = "AES-256-GCM", "ChaCha20-Poly1305"
ALGORITHMS: Final = (AES, CHACHA20)
FRAME: Final = 1 << 18
"""Plain bytes of a frame."""
LARGEST_FRAME: Final = 1 << 24
"""What claims more is damaged and would cost memory."""
TAG_BYTES: Final = 16
SALT_BYTES: Final = 32
MAGIC: Final = b"GAcrypt1"
CHECK_BYTES: Final = 16
HEAD_BYTES: Final = len(MAGIC) + CHECK_BYTES

Where = Callable[[int], str]
"""Says in words where a byte of the stored stream is."""


class FrameDamaged(GuestAgentError):
    """A frame of the encrypted stream, or what is before the first, is not what was written there."""

    id = "backup.frame-damaged"
    sentence = "Backup '{backup}' cannot be decrypted at {where}: {problem}; restore from another backup."


class WrongKey(GuestAgentError):
    """The guest's key of that name is another one than that of the backup."""

    id = "backup.wrong-key"
    sentence = (
        "The key '{key_id}' of this guest is not the one of that name that backup '{backup}' was encrypted with; "
        "put the right one into [backup] encryption_key_file."
    )


class _Cipher(Protocol):
    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...


def begin(algorithm: str | None, keys: Keyring | None) -> manifest.Encryption | None:
    """How a new backup is encrypted; none: without an algorithm or a key, it is not."""
    if algorithm is None or keys is None:
        return None
    return manifest.Encryption(algorithm, keys.current, os.urandom(SALT_BYTES).hex(), FRAME)


def encrypt(chunks: Iterable[bytes], how: manifest.Encryption, keys: Keyring, backup: str) -> Iterator[bytes]:
    """The stream, readable with the key alone.

    :raises UnknownKey: there is no such key.
    """
    cipher, check = _made(how, keys, backup)
    feed = Feed(chunks)
    yield MAGIC + check
    number, last = 0, False
    while not last:
        frame = feed.take(how.frame)
        last = feed.ended
        yield cipher.encrypt(_nonce(number), frame, _bound(backup, number, last))
        number += 1


def decrypt(
    chunks: Iterable[bytes], how: manifest.Encryption, keys: Keyring, backup: str, where: Where
) -> Iterator[bytes]:
    """The stream as it was; no byte is handed on that was not authenticated.

    :param where: for the sentences of errors.
    :raises UnknownKey: the key is not here.
    :raises WrongKey: another one has its name.
    :raises FrameDamaged: it was changed, or ends too early or too late.
    :raises ManifestInvalid: it cannot have been encrypted in that way.
    """
    cipher, check = _made(how, keys, backup)
    feed = Feed(chunks)
    head = feed.take(HEAD_BYTES)
    if len(head) < HEAD_BYTES or not head.startswith(MAGIC):
        raise FrameDamaged(backup=backup, where=where(0), problem="it has no head")
    right = hmac.compare_digest(head[len(MAGIC) :], check)
    number, last = 0, False
    while not last:
        offset = feed.offset
        sealed = feed.take(how.frame + TAG_BYTES)
        last = feed.ended
        plain = _opened(cipher, sealed, number, backup, last)
        if not right:
            # Is the key another one, or is its check damaged? It is the right one if it opens anything.
            if plain is None and _opened(cipher, sealed, number, backup, not last) is None:
                raise WrongKey(key_id=how.key_id, backup=backup)
            raise FrameDamaged(backup=backup, where=where(0), problem="its head is another one")
        if plain is None:
            problem = f"frame {number} {_why(cipher, sealed, number, backup, last)}"
            raise FrameDamaged(backup=backup, where=where(offset), problem=problem)
        yield plain
        number += 1


def before(offset: int, how: manifest.Encryption | None) -> int:
    """Where in the stored stream a byte of the stream is that was encrypted."""
    if how is None:
        return offset
    number, within = divmod(offset, how.frame)
    return HEAD_BYTES + number * (how.frame + TAG_BYTES) + within


def _made(how: manifest.Encryption, keys: Keyring, backup: str) -> tuple[_Cipher, bytes]:
    """The cipher of a backup, and the check of its key."""
    if how.algorithm not in ALGORITHMS:
        problem = f"this agent does not know the encryption '{how.algorithm}'; use a newer image"
        raise ManifestInvalid(backup=backup, problem=problem)
    if not 0 < how.frame <= LARGEST_FRAME:
        raise ManifestInvalid(backup=backup, problem=f"no frame has {how.frame} bytes")
    try:
        salt = bytes.fromhex(how.salt)
    except ValueError:
        raise ManifestInvalid(backup=backup, problem="its salt is not hexadecimal") from None
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

    material = _derived(keys.key(how.key_id, backup), salt, how.algorithm)
    key, check = material[:32], material[32:]
    return AESGCM(key) if how.algorithm == AES else ChaCha20Poly1305(key), check


def _derived(key: bytes, salt: bytes, algorithm: str) -> bytes:
    """HKDF-SHA256 (RFC 5869) for as many bytes as a key and its check take."""
    pseudorandom = hmac.digest(salt, key, hashlib.sha256)
    info = b"guestagent backup " + algorithm.encode()
    first = hmac.digest(pseudorandom, info + b"\x01", hashlib.sha256)
    second = hmac.digest(pseudorandom, first + info + b"\x02", hashlib.sha256)
    return first + second[:CHECK_BYTES]


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


def _bound(backup: str, number: int, last: bool) -> bytes:
    return b"%s\0%d\0%d" % (backup.encode(), number, last)


def _opened(cipher: _Cipher, sealed: bytes, number: int, backup: str, last: bool) -> bytes | None:
    from cryptography.exceptions import InvalidTag

    try:
        return cipher.decrypt(_nonce(number), sealed, _bound(backup, number, last))
    except InvalidTag:
        return None


def _why(cipher: _Cipher, sealed: bytes, number: int, backup: str, last: bool) -> str:
    """What is wrong with a frame that cannot be opened as what it should be."""
    if _opened(cipher, sealed, number, backup, not last) is None:
        return "is damaged, or is none of this backup or of this place"
    return "is the last one, and others should follow" if last else "should be the last one, and something follows it"
