"""The connection to the broker, and the names that are used on it."""

import oslo_messaging
from oslo_config import cfg

RABBIT = "oslo_messaging_rabbit"


def connect(conf: cfg.ConfigOpts) -> oslo_messaging.Transport:
    """A transport for ``transport_url``; the first message makes the connection, not this call.

    ``conf`` must be the global ``cfg.CONF``: oslo.messaging 18 drops every message with another one.
    """
    transport = oslo_messaging.get_rpc_transport(conf)
    if RABBIT in conf:
        # A broker's certificate without its name proves little; oslo.messaging leaves it to us.
        conf.set_default("ssl_enforce_hostname_verification", True, group=RABBIT)
    return transport


def guest_topic(guest_id: str) -> str:
    """The topic that a guest listens on."""
    return f"guestagent.{guest_id}"
