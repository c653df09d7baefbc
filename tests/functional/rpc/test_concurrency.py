"""What waits for what: reads beside changes, pings beside everything, casts after one another."""

import time

from guestagent.conformance.poll import eventually
from guestagent.conformance.wire import Wire, request_context
from tests.conftest import MakeAgent
from tests.functional.rpc.conftest import KEY, Guest
from tests.support.sleeper import DATASTORE, Sleeper

PROMPT = 10.0
"""Seconds within which an answer came at once, on a machine that is busy with other tests."""


def ping_promptly(guest: Guest, times: int = 10) -> None:
    for _ in range(times):
        started = time.monotonic()
        assert guest.wire.call(guest.id, "rpc_ping") is True
        assert time.monotonic() - started < PROMPT


def test_thirty_calls_that_wait_for_the_database_do_not_keep_a_ping_waiting(guest: Guest) -> None:
    guest.sleeper.hold("list_databases")
    waiting = [guest.wire.begin(guest.id, "list_databases") for _ in range(30)]
    guest.sleeper.wait_until_began("list_databases", 8)

    ping_promptly(guest)
    assert guest.wire.call(guest.id, "get_hwinfo")
    assert guest.wire.call(guest.id, "describe", namespace="guestagent")
    assert not any(call.answered for call in waiting)

    guest.sleeper.release("list_databases")
    assert [call.result() for call in waiting] == [[[], None]] * 30


def test_a_change_keeps_neither_a_ping_nor_a_read_waiting(guest: Guest) -> None:
    guest.sleeper.hold("create_database")
    guest.wire.cast(guest.id, "create_database", {"databases": [{"_name": "shop"}]})
    guest.sleeper.wait_until_began("create_database")

    ping_promptly(guest)
    assert guest.wire.call(guest.id, "list_databases") == [[], None]

    guest.sleeper.release("create_database")
    eventually(lambda: guest.wire.call(guest.id, "list_databases")[0], message="the change never ended")


def test_reads_run_beside_one_another(guest: Guest) -> None:
    guest.sleeper.hold("list_databases")
    waiting = [guest.wire.begin(guest.id, "list_databases") for _ in range(8)]
    guest.sleeper.wait_until_began("list_databases", 8)
    guest.sleeper.release("list_databases")
    assert all(call.result() for call in waiting)


def test_a_second_change_is_told_what_it_would_wait_for(make_agent: MakeAgent, wire: Wire) -> None:
    agent = make_agent(DATASTORE, options={"agent": {"busy_wait": 1}})
    agent.boot(wire)
    sleeper = Sleeper(agent)
    sleeper.hold("create_database")
    context = request_context()
    wire.cast(agent.guest_id, "create_database", {"databases": [{"_name": "shop"}]}, context=context)
    sleeper.wait_until_began("create_database")

    failure = wire.ask(agent.guest_id, "restart").failure
    assert failure is not None
    assert failure.class_name == "Busy"
    assert "'create_database'" in failure.message
    assert context["request_id"] in failure.message
    assert "'restart' was not started" in failure.message

    sleeper.release("create_database")
    eventually(sleeper.databases)
    assert sleeper.began("restart") == []
    wire.call(agent.guest_id, "restart")
    assert len(sleeper.began("restart")) == 1


def test_a_change_that_gets_its_turn_in_time_is_done(guest: Guest) -> None:
    guest.sleeper.hold("create_database")
    guest.wire.cast(guest.id, "create_database", {"databases": [{"_name": "shop"}]})
    guest.sleeper.wait_until_began("create_database")

    restart = guest.wire.begin(guest.id, "restart")
    ping_promptly(guest, 1)
    assert guest.sleeper.began("restart") == []

    guest.sleeper.release("create_database")
    assert restart.result() is None
    assert len(guest.sleeper.began("restart")) == 1


def test_casts_are_done_in_the_order_of_their_sending(make_agent: MakeAgent, wire: Wire) -> None:
    agent = make_agent(DATASTORE, key=KEY)
    agent.boot(wire)
    sleeper = Sleeper(agent)
    expected = []
    for turn in range(5):
        # A big message takes longer to open than the small ones that follow it.
        big = [f"big-{turn}-{number}" for number in range(2000)]
        small = [f"small-{turn}-{number}" for number in range(20)]
        for names in (big, *([name] for name in small)):
            databases = [{"_name": name} for name in names]
            wire.cast(agent.guest_id, "create_database", {"databases": databases}, key=KEY)
        expected += big + small

    eventually(lambda: len(sleeper.databases()) == len(expected), timeout=30)
    assert sleeper.databases() == expected
