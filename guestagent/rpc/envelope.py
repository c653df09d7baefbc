"""How requests, answers and reports are wrapped: plainly, or encrypted with the instance's key.

The encrypted form is that of Trove's ``instance_rpc_encr_key``: every argument is by itself the
base64 of an initialisation vector and its AES-256-CBC ciphertext, the AES key is the ASCII of the
key's MD5 in hexadecimal, and the plaintext is JSON.
"""

import abc
import base64
import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from guestagent.contract.errors import InvalidMessage


class Envelope(abc.ABC):
    """Opens what arrives at the guest and seals what leaves it; and the other way round for a client."""

    @abc.abstractmethod
    def open_request(
        self, context: Mapping[str, Any], arguments: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The context and arguments of a request.

        :raises InvalidMessage: they are not wrapped as they must be.
        """

    @abc.abstractmethod
    def seal_result(self, result: Any) -> Any:
        """A result as the caller expects it."""

    @abc.abstractmethod
    def seal_report(
        self, context: Mapping[str, Any], arguments: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The context and arguments of a message to the conductor."""

    @abc.abstractmethod
    def seal_request(
        self, context: Mapping[str, Any], arguments: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The context and arguments of a request to a guest."""

    @abc.abstractmethod
    def open_result(self, result: Any) -> Any:
        """The result that a guest sent.

        :raises InvalidMessage: it is not wrapped as it must be.
        """


class PlainEnvelope(Envelope):
    """For instances without a key: everything travels as it is."""

    def open_request(
        self, context: Mapping[str, Any], arguments: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        return dict(context), dict(arguments)

    def seal_result(self, result: Any) -> Any:
        return result

    def seal_report(
        self, context: Mapping[str, Any], arguments: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        return dict(context), dict(arguments)

    seal_request = seal_report

    def open_result(self, result: Any) -> Any:
        return result


class EncryptedEnvelope(Envelope):
    """For instances with a key: what is not encrypted with it is refused.

    :param key: ``instance_rpc_encr_key``.
    :param guest_id: by it the conductor finds the key.
    """

    def __init__(self, key: str, guest_id: str) -> None:
        self._key = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest().encode()
        self._guest_id = guest_id

    def open_request(
        self, context: Mapping[str, Any], arguments: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        opened = self._decrypt(context.get("context"))
        if not isinstance(opened, dict):
            raise InvalidMessage(problem="its context is not encrypted with this instance's key")
        return opened, {name: self._decrypt(value) for name, value in arguments.items()}

    def seal_result(self, result: Any) -> Any:
        return self._encrypt(result)

    def seal_report(
        self, context: Mapping[str, Any], arguments: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        sealed_context = {"context": self._encrypt(context), "csz-instance-id": self._guest_id}
        sealed = {
            name: json.dumps({"entity": self._encrypt(value), "csz-instance-id": self._guest_id})
            for name, value in arguments.items()
        }
        return sealed_context, sealed

    def seal_request(
        self, context: Mapping[str, Any], arguments: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"context": self._encrypt(context)}, {name: self._encrypt(value) for name, value in arguments.items()}

    def open_result(self, result: Any) -> Any:
        return self._decrypt(result)

    def _encrypt(self, value: Any) -> str:
        # Imported here, so that instances without a key do not pay for it.
        from guestagent.system import aes

        vector = os.urandom(aes.BLOCK)
        return base64.b64encode(vector + aes.encrypt(self._key, vector, json.dumps(value).encode())).decode()

    def _decrypt(self, value: Any) -> Any:
        from guestagent.system import aes

        try:
            sealed = base64.b64decode(value, validate=True)
            return json.loads(aes.decrypt(self._key, sealed[: aes.BLOCK], sealed[aes.BLOCK :]))
        except (TypeError, ValueError, RecursionError):
            # Whatever is wrong, the answer is the same: it must not tell a stranger how far he came.
            raise InvalidMessage(problem="it is not encrypted with this instance's key") from None


def for_instance(key: str | None, guest_id: str) -> Envelope:
    """The envelope of an instance, by whether it has a key."""
    return EncryptedEnvelope(key, guest_id) if key else PlainEnvelope()
