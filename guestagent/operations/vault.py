"""Sealing what the journal keeps of requests and of the way back: both may hold passwords and private keys."""

import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import msgspec

from guestagent.contract.errors import InvalidValue, SystemFailure
from guestagent.system import files

NAME = "journal.key"
TAG_BYTES = 32
HALF_BYTES = 32
"""Of the key: one half is the cipher's, the other the tag's."""


class Vault:
    """Encrypts and authenticates values, with a key of mode 0600 that never leaves the machine.

    AES-256-CBC, then HMAC-SHA256 over the vector and the ciphertext; each with a half of the key. A copy of the
    journal alone tells nothing, and a value that was changed is not believed.

    :param directory: holds the key; one is made when there is none.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / NAME
        self._key: bytes | None = None
        self._lock = threading.Lock()

    def seal(self, value: Any) -> bytes:
        """The value, of types that JSON has, unreadable without the key.

        :raises InvalidValue: it is too deep, or a text in it is no Unicode.
        :raises SystemFailure: there is no key and none can be written.
        """
        try:
            text = msgspec.json.encode(value)
        except (ValueError, RecursionError) as error:
            # Their own words would repeat a part of the value.
            problem = f"it cannot be written down ({type(error).__name__})"
            raise InvalidValue(subject="A value for the journal", problem=problem) from None
        # What seals is imported when there is something to seal.
        import hmac

        from guestagent.system import aes

        cipher_key, tag_key = self._keys()
        vector = os.urandom(aes.BLOCK)
        sealed = vector + aes.encrypt(cipher_key, vector, text)
        return hmac.digest(tag_key, sealed, hashlib.sha256) + sealed

    def open(self, sealed: bytes) -> Any:
        """The value that was sealed.

        :raises SystemFailure: the key is another one, or the value was damaged.
        """
        import hmac

        from guestagent.system import aes

        cipher_key, tag_key = self._keys()
        tag, rest = sealed[:TAG_BYTES], sealed[TAG_BYTES:]
        if not hmac.compare_digest(tag, hmac.digest(tag_key, rest, hashlib.sha256)):
            raise SystemFailure(
                subject="Reading a sealed value of the journal", problem=f"{self._path} does not fit it"
            )
        return msgspec.json.decode(aes.decrypt(cipher_key, rest[: aes.BLOCK], rest[aes.BLOCK :]))

    def _keys(self) -> tuple[bytes, bytes]:
        with self._lock:
            if self._key is None:
                self._key = self._read()
        return self._key[:HALF_BYTES], self._key[HALF_BYTES:]

    def _read(self) -> bytes:
        try:
            found = self._path.read_bytes()
            if len(found) == 2 * HALF_BYTES:
                return found
            # Nothing that it sealed can be opened any more, and new things must be sealed by something.
            self._path.rename(self._path.with_suffix(".damaged"))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise SystemFailure(subject=f"Reading {self._path}", problem=error.strerror) from error
        made = os.urandom(2 * HALF_BYTES)
        try:
            files.write(self._path, made, mode=0o600)
        except OSError as error:
            raise SystemFailure(subject=f"Writing {self._path}", problem=error.strerror) from error
        return made
