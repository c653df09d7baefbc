"""One turn of one peer: started, called, looked at, stopped."""

import collections
import contextlib
import dataclasses
import statistics
import time
from collections.abc import Iterator, Sequence

from benchmarks.peers import EXCHANGE, Peer
from benchmarks.process import MeasuredProcess
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import NoReply, Wire

START_SECONDS = 60.0
PAUSE_SECONDS = 0.5
SETTLE_SECONDS = 2.0
WARM_UP_CALLS = 200
CALLS_IN_FLIGHT = 8
CALLERS_SHARE = 1
"""The caller holds one connection, one channel and one queue of its own while it counts."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """What one turn showed.

    :ivar idle_mib: resident memory before the calls.
    :ivar loaded_mib: resident memory after them.
    :ivar p50_ms: latency of one call at a time, median.
    :ivar p99_ms: the same, 99th percentile.
    :ivar calls_per_s: with eight calls under way.
    :ivar cpu_ms_per_call: processor time of the server, one call at a time.
    :ivar connections: held at the broker, after the calls that came one at a time.
    :ivar channels: held there.
    :ivar queues: consumed from there.
    :ivar modules: imported, after everything else.
    """

    idle_mib: float
    loaded_mib: float
    p50_ms: float
    p99_ms: float
    calls_per_s: float
    cpu_ms_per_call: float
    connections: int
    channels: int
    queues: int
    modules: int


def take_start(peer: Peer, broker: Rabbit) -> float:
    """Start a peer once: milliseconds from the start of the process to its first answer to a ping."""
    # What the broker still does for the one before would be counted.
    time.sleep(PAUSE_SECONDS)
    with Wire(broker, EXCHANGE) as wire, running(peer, wire) as (_, start_ms):
        return start_ms


def take_turn(peer: Peer, broker: Rabbit, calls: int) -> Sample:
    """Measure a peer once.

    :param calls: how many calls the latency is measured with, one at a time.
    """
    with Wire(broker, EXCHANGE) as wire, running(peer, wire) as (process, _):
        _hold_connection(peer, wire)
        time.sleep(SETTLE_SECONDS)
        idle_mib = process.resident()
        _latencies(peer, wire, WARM_UP_CALLS)
        cpu = process.cpu()
        latencies = _latencies(peer, wire, calls)
        cpu = process.cpu() - cpu
        loaded_mib = process.resident()
        percentiles = statistics.quantiles(latencies, n=100)
        held = [_held(broker, listing) for listing in ("list_connections", "list_channels", "list_consumers")]
        calls_per_s = _throughput(peer, wire, calls)
        # Last: a program that waits for signals may take this one for its end.
        modules = len(process.modules())
    return Sample(
        idle_mib=idle_mib,
        loaded_mib=loaded_mib,
        p50_ms=percentiles[49] * 1000,
        p99_ms=percentiles[98] * 1000,
        calls_per_s=calls_per_s,
        cpu_ms_per_call=cpu / calls * 1000,
        connections=held[0],
        channels=held[1],
        queues=held[2],
        modules=modules,
    )


def measure_idle(peers: Sequence[Peer], broker: Rabbit, seconds: float) -> dict[str, float]:
    """Processor time that idle peers use, in ms per second, by their names; all of them idle together."""
    with contextlib.ExitStack() as stack:
        wire = stack.enter_context(Wire(broker, EXCHANGE))
        processes = {peer.name: stack.enter_context(running(peer, wire))[0] for peer in peers}
        for peer in peers:
            _hold_connection(peer, wire)
        time.sleep(SETTLE_SECONDS)
        before = {name: process.cpu() for name, process in processes.items()}
        begun = time.monotonic()
        time.sleep(seconds)
        elapsed = time.monotonic() - begun
        return {name: (process.cpu() - before[name]) / elapsed * 1000 for name, process in processes.items()}


@contextlib.contextmanager
def running(peer: Peer, wire: Wire) -> Iterator[tuple[MeasuredProcess, float]]:
    """A running peer, and the milliseconds from its start to its first answer.

    The ping waits in the guest's queue before the process exists, as Trove's first message does: no time
    between two attempts is measured.
    """
    wire.declare_guest(peer.guest_id)
    ping = wire.begin(peer.guest_id, "rpc_ping", key=peer.key, timeout=START_SECONDS)
    with MeasuredProcess(peer.argv, peer.directory) as process:
        try:
            ping.result()
        except NoReply:
            raise RuntimeError(f"{peer.name} does not answer:\n{process.output}") from None
        start_ms = (time.monotonic() - process.started) * 1000
        yield process, start_ms


def _hold_connection(peer: Peer, wire: Wire) -> None:
    if peer.holds_connection:
        wire.call(peer.guest_id, "list_databases", key=peer.key)


def _latencies(peer: Peer, wire: Wire, calls: int) -> list[float]:
    latencies = []
    for _ in range(calls):
        begun = time.perf_counter()
        wire.call(peer.guest_id, "rpc_ping", key=peer.key)
        latencies.append(time.perf_counter() - begun)
    return latencies


def _throughput(peer: Peer, wire: Wire, calls: int) -> float:
    begun = time.perf_counter()
    under_way = collections.deque(wire.begin(peer.guest_id, "rpc_ping", key=peer.key) for _ in range(CALLS_IN_FLIGHT))
    for _ in range(calls):
        under_way.popleft().result()
        under_way.append(wire.begin(peer.guest_id, "rpc_ping", key=peer.key))
    while under_way:
        under_way.popleft().result()
    return (calls + CALLS_IN_FLIGHT) / (time.perf_counter() - begun)


def _held(broker: Rabbit, listing: str) -> int:
    return len(broker.control("--no-table-headers", listing).splitlines()) - CALLERS_SHARE
