"""What ``openssl enc`` encrypted with a password: AES-256-CBC with a salt before it, read and never written here.

Nothing in it authenticates: who can write to the store can change what comes out, and a changed byte shows at most by
what it makes of the stream behind it.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from guestagent.backup.feed import Feed
from guestagent.contract.errors import GuestAgentError

MAGIC: Final = b"Salted__"
SALT_BYTES: Final = 8
KEY_BYTES: Final = 32
BLOCK: Final = 16
"""Bytes of a block of the cipher, and of its initial vector."""
PIECE: Final = 1 << 20
ITERATIONS: Final = 10_000

Derivation = Callable[[bytes, bytes], bytes]
"""Makes a key and a vector, one after the other, of a password and a salt."""


class PasswordMissing(GuestAgentError):
    """A backup is encrypted with a password, and the guest has none."""

    id = "backup.password-missing"
    sentence = "Backup '{backup}' is encrypted; set [backup] trove_aes_cbc_key to the backup_aes_cbc_key of its Trove."


class WrongPassword(GuestAgentError):
    """Nothing sensible comes out of the first block."""

    id = "backup.wrong-password"
    sentence = (
        "The password of this guest does not decrypt backup '{backup}'; set [backup] trove_aes_cbc_key to the "
        "backup_aes_cbc_key of its Trove, or restore from another backup if its beginning is damaged."
    )


class SaltedDamaged(GuestAgentError):
    """It is not what ``openssl enc`` writes, or not all of it."""

    id = "backup.salted-damaged"
    sentence = "Backup '{backup}' cannot be decrypted: {problem}; restore from another backup."


def decrypt(chunks: Iterable[bytes], password: bytes, begins: bytes, backup: str) -> Iterator[bytes]:
    """The stream as it was.

    It does not say how its key was made of the password, so that all ways are tried on its first block.

    :param begins: how the stream begins, by which the right way is known; at most a block.
    :raises WrongPassword: it begins in another way.
    :raises SaltedDamaged: it ends too early, or was encrypted by something else.
    """
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import CBC
    from cryptography.hazmat.primitives.padding import PKCS7

    feed = Feed(chunks)
    head, first = feed.take(len(MAGIC) + SALT_BYTES), feed.take(BLOCK)
    if not head.startswith(MAGIC):
        raise SaltedDamaged(backup=backup, problem="openssl did not write what it begins with")
    if len(first) < BLOCK:
        raise SaltedDamaged(backup=backup, problem="it ends too early")
    for derivation in DERIVATIONS:
        made = derivation(password, head[len(MAGIC) :])
        decryptor = Cipher(AES(made[:KEY_BYTES]), CBC(made[KEY_BYTES:])).decryptor()
        plain = decryptor.update(first)
        if plain.startswith(begins):
            break
    else:
        raise WrongPassword(backup=backup)
    unpadder = PKCS7(BLOCK * 8).unpadder()
    yield unpadder.update(plain)
    while not feed.ended:
        yield unpadder.update(decryptor.update(feed.take(PIECE)))
    try:
        yield unpadder.update(decryptor.finalize()) + unpadder.finalize()
    except ValueError:
        raise SaltedDamaged(backup=backup, problem="it ends too early, or its end is another one") from None


def _stretched(password: bytes, salt: bytes) -> bytes:
    """``-md sha512 -pbkdf2 -iter 10000``."""
    return hashlib.pbkdf2_hmac("sha512", password, salt, ITERATIONS, KEY_BYTES + BLOCK)


def _hashed(digest: str) -> Derivation:
    """``-md <digest>`` and nothing else."""

    def derive(password: bytes, salt: bytes) -> bytes:
        made = last = b""
        while len(made) < KEY_BYTES + BLOCK:
            last = hashlib.new(digest, last + password + salt, usedforsecurity=False).digest()
            made += last
        return made[: KEY_BYTES + BLOCK]

    return derive


DERIVATIONS: Final[tuple[Derivation, ...]] = (_stretched, _hashed("sha256"), _hashed("md5"))
"""What Trove asked for last, and before that the default of its OpenSSL: since 1.1.0, and until then."""
