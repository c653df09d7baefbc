"""The database that an agent holds a connection to while it is measured."""

import contextlib
from collections.abc import Iterator
from typing import Any

from benchmarks.measures import running
from benchmarks.peers import EXCHANGE, Peer
from guestagent.conformance.poll import eventually
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire

PREPARE_SECONDS = 120.0
PREPARE: dict[str, Any] = {"packages": "", "databases": [], "memory_mb": 512, "users": [], "ds_version": "10.11"}


@contextlib.contextmanager
def prepared(peer: Peer, broker: Rabbit) -> Iterator[None]:
    """Let a peer prepare its instance, and stop the database in the end; between the two it runs on its own."""
    _prepare(peer, broker)
    try:
        yield
    finally:
        _stop(peer, broker)


def _prepare(peer: Peer, broker: Rabbit) -> None:
    with Wire(broker, EXCHANGE) as wire, running(peer, wire) as (process, _):
        wire.cast(peer.guest_id, "prepare", PREPARE, version="1.1", key=peer.key)
        eventually(
            lambda: wire.ask(peer.guest_id, "list_databases", key=peer.key).failure is None,
            timeout=PREPARE_SECONDS,
            message=lambda: f"the database of {peer.name} does not run; the end of the agent's log:\n{process.output}",
            every=0.5,
        )


def _stop(peer: Peer, broker: Rabbit) -> None:
    with Wire(broker, EXCHANGE) as wire, running(peer, wire):
        wire.call(peer.guest_id, "stop_db", version="1.1", key=peer.key, timeout=PREPARE_SECONDS)
