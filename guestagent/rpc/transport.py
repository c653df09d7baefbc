"""The connection to the broker, and the names that are used on it."""

from typing import Any

import oslo_messaging
from oslo_config import cfg

REPLY_PATIENCE = 5
"""Seconds to look for a caller that has gone; oslo.messaging's 60 would keep one of few threads as long."""


def connect(conf: cfg.ConfigOpts) -> oslo_messaging.Transport:
    """A transport for ``transport_url``; the first message makes the connection, not this call.

    ``conf`` must be the global ``cfg.CONF``: oslo.messaging 18 drops every message with another one.
    """
    if oslo_messaging.TransportURL.parse(conf).transport != "rabbit":
        return oslo_messaging.get_rpc_transport(conf)
    set_rabbit_defaults()
    transport = oslo_messaging.get_rpc_transport(conf)
    _verify_host_names(conf.oslo_messaging_rabbit.ssl_enforce_hostname_verification)
    return transport


def set_rabbit_defaults() -> None:
    """Give the driver's options the defaults that they have in an agent."""
    # The driver reads some options when it is made, so they are set where they are declared.
    from oslo_messaging._drivers import impl_rabbit

    cfg.set_defaults(
        impl_rabbit.rabbit_opts,
        kombu_missing_consumer_retry_timeout=REPLY_PATIENCE,
        # A broker's certificate without its name proves little.
        ssl_enforce_hostname_verification=True,
    )


def _verify_host_names(verify: bool) -> None:
    """Make every TLS connection verify that the certificate is for the host it goes to, or none.

    Left alone, oslo.messaging has the name verified when ``transport_url`` names one host and
    ``ssl_ca_file`` is set, and otherwise not, whatever its option says (18.3).
    """
    from amqp import transport

    class HostVerifyingTransport(transport.SSLTransport):  # type: ignore[misc]
        def _wrap_socket(self, sock: Any, **options: Any) -> Any:
            # kombu has replaced "localhost" by its address here; what oslo.messaging names goes first.
            named = options.pop("server_hostname", None) or self.host
            return super()._wrap_socket(sock, server_hostname=named if verify else None, **options)

    transport.SSLTransport = HostVerifyingTransport


def guest_topic(guest_id: str) -> str:
    """The topic that a guest listens on."""
    return f"guestagent.{guest_id}"
