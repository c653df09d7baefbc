"""The bytes of oslo.messaging's messages on AMQP, written down once for the tests, without its code."""

import json
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import amqp

EXPIRES = {"x-expires": 1800000}
"""Queues that belong to one process vanish when nobody has used them for half an hour (ms)."""
TRANSIENT = {"durable": False, "auto_delete": False}
CONTEXT = "_context_"
PORT = 5672


class Bus(Protocol):
    """The broker between the control plane's side and the guests.

    :ivar url: its ``transport_url``, of one host and without TLS.
    """

    @property
    def url(self) -> str: ...

    def start(self) -> None:
        """Make sure that it runs; repeating it is safe."""


def connect(url: str) -> amqp.Connection:
    """A connection to the broker of a ``transport_url``; one thread at a time may use it."""
    parts = urlsplit(url)
    connection = amqp.Connection(
        f"{parts.hostname}:{parts.port or PORT}",
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        virtual_host=unquote(parts.path[1:]) or "/",
        connect_timeout=10,
    )
    connection.connect()
    return connection


def declare_exchange(channel: amqp.Channel, exchange: str) -> None:
    """The exchange that every service of a control plane declares."""
    channel.exchange_declare(exchange, "topic", **TRANSIENT)


def declare_topic(channel: amqp.Channel, exchange: str, topic: str, queue: str | None = None) -> None:
    """A queue for the messages of a topic, as a server of that topic declares it.

    :param queue: its name; none: the topic's.
    """
    declare_exchange(channel, exchange)
    channel.queue_declare(queue or topic, **TRANSIENT)
    channel.queue_bind(queue or topic, exchange, topic)


def pack(message: Mapping[str, Any]) -> bytes:
    """A message in its envelope."""
    return json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(message)}).encode()


def unpack(body: str | bytes) -> dict[str, Any]:
    """The message inside an envelope."""
    envelope = json.loads(body)
    if set(envelope) != {"oslo.version", "oslo.message"}:
        raise ValueError(f"no envelope of version 2.0: {sorted(envelope)}")
    message: dict[str, Any] = json.loads(envelope["oslo.message"])
    return message


def flatten(context: Mapping[str, Any]) -> dict[str, Any]:
    """The context as keys of a message."""
    return {f"{CONTEXT}{name}": value for name, value in context.items()}


def context_of(message: Mapping[str, Any]) -> dict[str, Any]:
    """The context from the keys of a message."""
    return {name.removeprefix(CONTEXT): value for name, value in message.items() if name.startswith(CONTEXT)}


def publish(
    channel: amqp.Channel, body: bytes, *, exchange: str, routing_key: str, **properties: str | int | None
) -> None:
    """Send a body as JSON; ``properties`` are AMQP's, for example ``expiration`` in ms as text."""
    given = {"content_type": "application/json", "content_encoding": "utf-8", "delivery_mode": 2} | properties
    channel.basic_publish(amqp.Message(body, **given), exchange=exchange, routing_key=routing_key)
