"""Calls to a guest, as the control plane makes them: for the command line and for whoever automates it."""

from types import TracebackType
from typing import Any, Self

import oslo_messaging
from oslo_config import cfg

from guestagent.contract.call import TROVE, VERSIONS
from guestagent.contract.errors import GuestAgentError
from guestagent.rpc import envelope
from guestagent.rpc.transport import connect, guest_topic


class RemoteFailure(GuestAgentError):
    """The guest answered with an error; the sentence is the guest's own."""

    id = "remote.failure"
    sentence = "{message}"


class Unreachable(GuestAgentError):
    """No answer came."""

    id = "remote.unreachable"
    sentence = "Guest {guest_id} did not answer within {timeout} s: {problem}."


class Client:
    """Talks to one guest over the broker; use it as a context manager.

    :param conf: the files of that guest: its id, its key and its ``transport_url``.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._guest_id = conf.guest_id
        self._envelope = envelope.for_instance(conf.instance_rpc_encr_key, conf.guest_id)
        self._transport = connect(conf)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.cleanup()

    def call(
        self,
        method: str,
        arguments: dict[str, Any],
        *,
        namespace: str = TROVE,
        version: str | None = None,
        context: dict[str, Any] | None = None,
        timeout: float = 15,
    ) -> Any:
        """Call a method and return its result.

        :param timeout: seconds to wait for the answer, and for the broker.
        :raises RemoteFailure: the guest refused or failed.
        :raises Unreachable: no answer came.
        """
        client = self._client(namespace, version).prepare(timeout=timeout, retry=int(timeout))
        sealed_context, sealed = self._envelope.seal_request(context or {}, arguments)
        try:
            return self._envelope.open_result(client.call(sealed_context, method, **sealed))
        except oslo_messaging.RemoteError as error:
            raise RemoteFailure(message=error.value, kind=error.exc_type) from None
        except oslo_messaging.MessagingTimeout:
            raise Unreachable(guest_id=self._guest_id, timeout=timeout, problem="the agent is silent") from None
        except oslo_messaging.MessageDeliveryFailure as error:
            raise Unreachable(guest_id=self._guest_id, timeout=timeout, problem=str(error)) from None

    def cast(
        self,
        method: str,
        arguments: dict[str, Any],
        *,
        namespace: str = TROVE,
        version: str | None = None,
        context: dict[str, Any] | None = None,
    ) -> None:
        """Send a request that nobody answers."""
        sealed_context, sealed = self._envelope.seal_request(context or {}, arguments)
        self._client(namespace, version).cast(sealed_context, method, **sealed)

    def _client(self, namespace: str, version: str | None) -> oslo_messaging.RPCClient:
        spoken = ".".join(map(str, VERSIONS.get(namespace, (1, 0))))
        target = oslo_messaging.Target(
            topic=guest_topic(self._guest_id),
            server=self._guest_id,
            namespace=namespace or None,
            version=version or spoken,
        )
        return oslo_messaging.get_rpc_client(self._transport, target)
