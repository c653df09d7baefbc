"""AES-256-CBC by the OpenSSL that the interpreter has loaded for itself.

``cryptography`` brings an OpenSSL of its own, which costs 8 MiB in every agent whose messages are
encrypted (measured with 50.0); this one is in the process already, for ``hashlib`` and ``ssl``.
"""

import _hashlib
import ctypes
import functools
from typing import Any

KEY_BYTES = 32
BLOCK = 16


def encrypt(key: bytes, vector: bytes, plain: bytes) -> bytes:
    """Encrypt with PKCS#7 padding."""
    return _run("EVP_Encrypt", key, vector, plain)


def decrypt(key: bytes, vector: bytes, sealed: bytes) -> bytes:
    """Decrypt, and take the padding off.

    :raises ValueError: the length or the padding is wrong, as with another key.
    """
    return _run("EVP_Decrypt", key, vector, sealed)


@functools.cache
def _openssl() -> ctypes.PyDLL:
    # Found through the extension that is linked with it, whatever its name and version. PyDLL keeps the
    # interpreter's lock: giving it away for a microsecond's work would only let other threads in between.
    library = ctypes.PyDLL(_hashlib.__file__)
    handle, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    counter = ctypes.POINTER(number)
    for name, result, *arguments in (
        ("EVP_aes_256_cbc", handle),
        ("EVP_CIPHER_CTX_new", handle),
        ("EVP_CIPHER_CTX_free", None, handle),
        ("EVP_EncryptInit_ex", number, handle, handle, handle, text, text),
        ("EVP_DecryptInit_ex", number, handle, handle, handle, text, text),
        ("EVP_EncryptUpdate", number, handle, text, counter, text, number),
        ("EVP_DecryptUpdate", number, handle, text, counter, text, number),
        ("EVP_EncryptFinal_ex", number, handle, handle, counter),
        ("EVP_DecryptFinal_ex", number, handle, handle, counter),
        ("ERR_clear_error", None),
    ):
        function: Any = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _run(operation: str, key: bytes, vector: bytes, data: bytes) -> bytes:
    if len(key) != KEY_BYTES or len(vector) != BLOCK:
        raise ValueError("the key or the vector has the wrong length")
    openssl = _openssl()
    context = openssl.EVP_CIPHER_CTX_new()
    if not context:
        raise MemoryError
    try:
        out = ctypes.create_string_buffer(len(data) + BLOCK)
        written, rest = ctypes.c_int(), ctypes.c_int()
        done = (
            getattr(openssl, f"{operation}Init_ex")(context, openssl.EVP_aes_256_cbc(), None, key, vector) == 1
            and getattr(openssl, f"{operation}Update")(context, out, written, data, len(data)) == 1
            and getattr(openssl, f"{operation}Final_ex")(context, ctypes.addressof(out) + written.value, rest) == 1
        )
        if not done:
            # What is left in OpenSSL's list of errors, the next failure of a TLS connection would name.
            openssl.ERR_clear_error()
            raise ValueError("the text is not encrypted with this key")
        return out.raw[: written.value + rest.value]
    finally:
        openssl.EVP_CIPHER_CTX_free(context)
