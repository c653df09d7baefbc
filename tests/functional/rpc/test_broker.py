"""A broker that restarts, dies, or is not there."""

from collections.abc import Callable

import pytest

from guestagent.conformance.conductor import Conductor
from guestagent.conformance.poll import eventually
from guestagent.conformance.ports import LOOPBACK, free_port
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire, request_context
from tests.conftest import MakeAgent
from tests.functional.rpc.conftest import Guest
from tests.support.sleeper import DATASTORE, Sleeper

BACK = 40.0
"""Seconds within which everybody has found a broker that is there again."""
SOON = 15.0
"""Seconds within which an agent ends that has nothing to finish, though the broker does not listen."""


@pytest.mark.parametrize("leave", [Rabbit.stop, Rabbit.kill], ids=["restarts", "dies"])
def test_everything_goes_on_when_the_broker(
    guest: Guest, conductor: Conductor, broker: Rabbit, leave: Callable[[Rabbit], None]
) -> None:
    conductor.wait_for_status(guest.id, "healthy")
    guest.sleeper.hold("create_database")
    context = request_context("trove.common.notification.DBaaSDatabaseCreate")
    guest.wire.cast(guest.id, "create_database", {"databases": [{"_name": "before"}]}, context=context)
    guest.sleeper.wait_until_began("create_database")

    leave(broker)
    broker.start()

    # The conductor's queue goes with its broker, and may not be there yet.
    guest.sleeper.release("create_database")
    eventually(lambda: guest.sleeper.databases() == ["before"])
    conductor.wait_until_listening(BACK)
    mark = len(conductor.reports)
    conductor.wait_for_status(guest.id, "healthy", after=mark, timeout=BACK)
    conductor.wait_for_method(guest.id, "notify_end", timeout=BACK)
    guest.wire.reconnect()
    guest.agent.wait_until_answers(guest.wire, BACK)
    guest.wire.cast(guest.id, "create_database", {"databases": [{"_name": "after"}]})
    eventually(lambda: guest.sleeper.databases() == ["before", "after"])
    assert guest.agent.terminate() == 0


def test_while_the_broker_is_not_there_the_agent_can_be_stopped(make_agent: MakeAgent) -> None:
    nowhere = f"rabbit://guest:guest@{LOOPBACK}:{free_port()}/"
    agent = make_agent(DATASTORE, transport_url=nowhere, options={"agent": {"flush_timeout": 1}})
    agent.start()
    agent.wait_for_log("Connection refused")
    assert agent.terminate(SOON) == 0


def test_when_the_broker_has_gone_the_agent_can_be_stopped(make_agent: MakeAgent, broker: Rabbit, wire: Wire) -> None:
    agent = make_agent(DATASTORE, options={"agent": {"flush_timeout": 1}})
    agent.boot(wire)
    sleeper = Sleeper(agent)
    sleeper.hold("create_database")
    wire.cast(agent.guest_id, "create_database", {"databases": [{"_name": "shop"}]})
    sleeper.wait_until_began("create_database")
    broker.stop()
    agent.wait_for_log("Connection refused", timeout=BACK)
    sleeper.release("create_database")

    assert agent.terminate(SOON) == 0
    assert sleeper.databases() == ["shop"]


def test_what_no_conductor_hears_is_told_to_the_one_that_comes(
    guest: Guest, conductor: Conductor, broker: Rabbit, exchange: str
) -> None:
    conductor.wait_for_status(guest.id, "healthy")
    # Its queue goes with it, as it does with its broker.
    conductor.close()
    context = request_context("trove.common.notification.DBaaSDatabaseCreate")
    guest.wire.cast(guest.id, "create_database", {"databases": [{"_name": "unheard"}]}, context=context)
    guest.agent.wait_for_log("Nobody listens for 'notify_end'")
    with Conductor(broker, exchange) as later:
        later.wait_for_method(guest.id, "notify_end")
        later.wait_for_status(guest.id, "healthy")


def test_an_agent_does_not_wait_for_a_conductor_that_is_not_there(
    make_agent: MakeAgent, wire: Wire, conductor: Conductor, broker: Rabbit, exchange: str
) -> None:
    agent = make_agent(DATASTORE, options={"agent": {"flush_timeout": 60}})
    agent.boot(wire)
    conductor.close()
    context = request_context("trove.common.notification.DBaaSDatabaseCreate")
    wire.cast(agent.guest_id, "create_database", {"databases": [{"_name": "unheard"}]}, context=context)
    agent.wait_for_log("Nobody listens for 'notify_end'")
    assert agent.terminate(SOON) == 0
    with Conductor(broker, exchange) as later:
        agent.boot(wire)
        later.wait_for_method(agent.guest_id, "notify_end")
    assert Sleeper(agent).databases() == ["unheard"]
