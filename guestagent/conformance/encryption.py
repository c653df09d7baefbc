"""The encryption of messages, written for the tests from the description of the wire alone.

It shares nothing with the agent's own, so that a mistake cannot be made twice.
"""

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

VECTOR_BYTES = 16


class Cryptor:
    """Encrypts and decrypts with one instance's key.

    :param key: the ``instance_rpc_encr_key``.
    """

    def __init__(self, key: str) -> None:
        self._aes = algorithms.AES(hashlib.md5(key.encode()).hexdigest().encode("ascii"))

    def encrypt(self, value: Any) -> str:
        """base64 of the initialisation vector and the encrypted JSON of the value."""
        return self.encrypt_bytes(json.dumps(value).encode("utf-8"))

    def encrypt_bytes(self, plain: bytes) -> str:
        """The same for bytes that need not be JSON."""
        vector = os.urandom(VECTOR_BYTES)
        padder = padding.PKCS7(self._aes.block_size).padder()
        encryptor = Cipher(self._aes, modes.CBC(vector)).encryptor()
        padded = padder.update(plain) + padder.finalize()
        return base64.b64encode(vector + encryptor.update(padded) + encryptor.finalize()).decode("ascii")

    def decrypt(self, sealed: str) -> Any:
        """The value.

        :raises ValueError: it is not encrypted with this key.
        """
        raw = base64.b64decode(sealed, validate=True)
        decryptor = Cipher(self._aes, modes.CBC(raw[:VECTOR_BYTES])).decryptor()
        padded = decryptor.update(raw[VECTOR_BYTES:]) + decryptor.finalize()
        unpadder = padding.PKCS7(self._aes.block_size).unpadder()
        return json.loads((unpadder.update(padded) + unpadder.finalize()).decode("utf-8"))

    def seal_request(
        self, context: Mapping[str, Any], arguments: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Context and arguments as the control plane's client for a guest sends them."""
        return {"context": self.encrypt(context)}, {name: self.encrypt(value) for name, value in arguments.items()}

    def open_report(
        self, context: Mapping[str, Any], arguments: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Context and arguments of a message from a guest to the conductor.

        :raises ValueError: they are not encrypted with this key.
        """
        opened = {name: self.decrypt(json.loads(value)["entity"]) for name, value in arguments.items()}
        return self.decrypt(context["context"]), opened


def sealed_by(context: Mapping[str, Any], arguments: Mapping[str, Any]) -> str | None:
    """The instance that encrypted a message to the conductor; none: it is plain.

    :raises ValueError: the parts of the message do not agree.
    """
    instances = {context.get("csz-instance-id")}
    for value in arguments.values():
        entity = json.loads(value) if isinstance(value, str) and value.startswith("{") else None
        instances.add(entity.get("csz-instance-id") if isinstance(entity, dict) else None)
    if len(instances) != 1:
        raise ValueError(f"a message in parts encrypted and in parts not, or by several instances: {instances}")
    return instances.pop()
