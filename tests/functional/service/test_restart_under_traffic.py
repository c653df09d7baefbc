"""Twenty restarts while several clients call and cast: nothing is lost, nothing is done twice."""

import threading
from concurrent.futures import ThreadPoolExecutor

from guestagent.conformance.poll import eventually
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Reply, Wire
from tests.conftest import MakeAgent
from tests.support.sleeper import DATASTORE, Sleeper

RESTARTS = 20
CALLERS = 3
CASTERS = 2
PATIENCE = 120.0
"""Seconds that a call may wait in the queue, over several restarts."""
PAUSE_OF_CALLERS = 0.005
PAUSE_OF_CASTERS = 0.04
"""Nobody answers a cast: faster than they are done, they would wait in front of everything else."""
METHODS = ("rpc_ping", "get_hwinfo", "restart")


class Traffic:
    """Clients of one guest, each with a connection of its own, until they are told to stop."""

    def __init__(self, broker: Rabbit, exchange: str, guest_id: str) -> None:
        self._broker = broker
        self._exchange = exchange
        self._guest_id = guest_id
        self._over = threading.Event()

    def stop(self) -> None:
        self._over.set()

    def call(self) -> list[Reply]:
        """Call, wait for the answer, call again; a call that nobody answers raises."""
        replies: list[Reply] = []
        with Wire(self._broker, self._exchange) as wire:
            while not self._over.wait(PAUSE_OF_CALLERS):
                method = METHODS[len(replies) % len(METHODS)]
                replies.append(wire.begin(self._guest_id, method, timeout=PATIENCE).reply())
        return replies

    def cast(self, client: int) -> list[str]:
        """Have databases created that nobody else creates; their names in the order of the casts."""
        names: list[str] = []
        with Wire(self._broker, self._exchange) as wire:
            while not self._over.wait(PAUSE_OF_CASTERS):
                names.append(f"{client}-{len(names)}")
                wire.cast(self._guest_id, "create_database", {"databases": [{"_name": names[-1]}]})
        return names


def test_every_call_is_answered_and_every_cast_done_once(
    make_agent: MakeAgent, broker: Rabbit, exchange: str, wire: Wire
) -> None:
    agent = make_agent(DATASTORE)
    agent.boot(wire)
    traffic = Traffic(broker, exchange, agent.guest_id)
    with ThreadPoolExecutor(CALLERS + CASTERS) as clients:
        calling = [clients.submit(traffic.call) for _ in range(CALLERS)]
        casting = [clients.submit(traffic.cast, client) for client in range(CASTERS)]
        try:
            for _ in range(RESTARTS):
                assert agent.terminate() == 0
                agent.boot(wire)
        finally:
            traffic.stop()
        replies = [reply for client in calling for reply in client.result(PATIENCE)]
        cast = [client.result(PATIENCE) for client in casting]

    assert len(replies) > RESTARTS * CALLERS
    assert [reply.failure for reply in replies if reply.failure] == []

    sleeper = Sleeper(agent)
    total = sum(map(len, cast))
    assert total > RESTARTS * CASTERS
    eventually(lambda: len(sleeper.databases()) >= total, timeout=30, message="casts were lost")
    wire.call(agent.guest_id, "restart")
    for client, names in enumerate(cast):
        assert [name for name in sleeper.databases() if name.startswith(f"{client}-")] == names
