"""AES-256-CBC of the interpreter's OpenSSL, held against another implementation."""

import os
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from guestagent.system import aes

KEY, VECTOR = bytes(range(32)), bytes(range(100, 116))


def other(plain: bytes) -> bytes:
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(KEY), modes.CBC(VECTOR)).encryptor()
    return encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 31, 32, 33, 1000, 1 << 20])
def test_the_text_is_what_another_implementation_makes(length: int) -> None:
    plain = os.urandom(length)
    assert aes.encrypt(KEY, VECTOR, plain) == other(plain)
    assert aes.decrypt(KEY, VECTOR, other(plain)) == plain


@pytest.mark.parametrize("sealed", [b"", b"short", bytes(15), bytes(16), bytes(17), bytes(160)])
def test_what_was_not_encrypted_with_the_key_is_refused(sealed: bytes) -> None:
    with pytest.raises(ValueError, match="not encrypted with this key"):
        aes.decrypt(KEY, VECTOR, sealed)


@pytest.mark.parametrize(("key", "vector"), [(KEY[:16], VECTOR), (KEY + b"0", VECTOR), (KEY, VECTOR[:15]), (KEY, b"")])
def test_a_key_or_vector_of_another_length_never_reaches_openssl(key: bytes, vector: bytes) -> None:
    with pytest.raises(ValueError, match="wrong length"):
        aes.encrypt(key, vector, b"text")
    with pytest.raises(ValueError, match="wrong length"):
        aes.decrypt(key, vector, bytes(16))


def test_a_refusal_leaves_no_error_behind_for_the_next_tls_connection() -> None:
    code = (
        "import ssl; from guestagent.system import aes\n"
        "try: aes.decrypt(bytes(32), bytes(16), bytes(32))\n"
        "except ValueError: pass\n"
        "a, b = ssl.MemoryBIO(), ssl.MemoryBIO()\n"
        "try: ssl.create_default_context().wrap_bio(a, b, server_hostname='x').do_handshake()\n"
        "except ssl.SSLWantReadError: print('as it should be')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "as it should be\n"
