"""The connection to the broker, and the names that are used on it."""

import oslo_messaging
from oslo_config import cfg

REPLY_PATIENCE = 5
"""Seconds to look for a caller that has gone; oslo.messaging's 60 would keep one of few threads as long."""


def connect(conf: cfg.ConfigOpts) -> oslo_messaging.Transport:
    """A transport for ``transport_url``; the first message makes the connection, not this call.

    ``conf`` must be the global ``cfg.CONF``: oslo.messaging 18 drops every message with another one.
    """
    if oslo_messaging.TransportURL.parse(conf).transport == "rabbit":
        _set_rabbit_defaults()
    return oslo_messaging.get_rpc_transport(conf)


def _set_rabbit_defaults() -> None:
    # The driver reads some options when it is made, so they are set where they are declared.
    from oslo_messaging._drivers import impl_rabbit

    cfg.set_defaults(
        impl_rabbit.rabbit_opts,
        kombu_missing_consumer_retry_timeout=REPLY_PATIENCE,
        # A broker's certificate without its name proves little.
        ssl_enforce_hostname_verification=True,
    )


def guest_topic(guest_id: str) -> str:
    """The topic that a guest listens on."""
    return f"guestagent.{guest_id}"
