"""The heartbeat on the wire."""

import itertools
import time

from guestagent.conformance.conductor import Conductor, Report
from guestagent.conformance.wire import Wire
from tests.conftest import MakeAgent
from tests.functional.rpc.conftest import KEY, Guest
from tests.support.sleeper import DATASTORE


def check_form(report: Report, guest_id: str) -> None:
    """The conductor drops a message with one argument too many, so the form is exact."""
    assert report.problem is None
    assert report.version == "1.0"
    assert not report.is_call
    assert dict(report.args).keys() == {"instance_id", "payload", "sent"}
    assert report.args["instance_id"] == guest_id
    assert report.args["payload"].keys() == {"service_status"}
    assert isinstance(report.args["sent"], float)
    assert abs(report.args["sent"] - time.time()) < 60
    assert report.context == {}


def test_the_heart_beats_every_interval_whatever_the_agent_does(conductor: Conductor, guest: Guest) -> None:
    conductor.wait_for_status(guest.id, "healthy")
    guest.sleeper.hold("create_database")
    guest.wire.cast(guest.id, "create_database", {"databases": [{"_name": "shop"}]})
    guest.sleeper.wait_until_began("create_database")

    mark = len(conductor.reports)
    for number in range(3):
        conductor.wait_for_status(guest.id, "healthy", after=mark + number)
    guest.sleeper.release("create_database")

    beats = conductor.of(guest.id, "heartbeat")
    for beat in beats:
        check_form(beat, guest.id)
    assert all(earlier.args["sent"] < later.args["sent"] for earlier, later in itertools.pairwise(beats))


def test_it_goes_on_while_the_database_is_down(conductor: Conductor, guest: Guest) -> None:
    guest.sleeper.set_status("shutdown")
    mark = len(conductor.reports)
    conductor.wait_for_status(guest.id, "shutdown")
    conductor.wait_for_status(guest.id, "shutdown", after=mark + 3)
    guest.sleeper.set_status("healthy")
    conductor.wait_for_status(guest.id, "healthy", after=len(conductor.reports))


def test_it_goes_on_when_the_plugin_cannot_tell(conductor: Conductor, guest: Guest) -> None:
    guest.sleeper.set_status("no status that exists")
    conductor.wait_for_status(guest.id, "unknown")
    guest.sleeper.set_status("healthy")
    conductor.wait_for_status(guest.id, "healthy", after=len(conductor.reports))


def test_with_a_key_it_is_sealed(conductor: Conductor, make_agent: MakeAgent, wire: Wire) -> None:
    agent = make_agent(DATASTORE, key=KEY)
    conductor.keys[agent.guest_id] = KEY
    agent.start()
    report = conductor.wait_for_status(agent.guest_id, "healthy")
    assert report.encrypted_by == agent.guest_id
    check_form(report, agent.guest_id)


def test_it_begins_at_once_whatever_the_interval(conductor: Conductor, make_agent: MakeAgent) -> None:
    agent = make_agent(DATASTORE, options={"agent": {"report_interval": 3600}})
    agent.start()
    conductor.wait_for_status(agent.guest_id, "healthy")


def test_the_conductors_topic_can_be_another(conductor: Conductor, make_agent: MakeAgent, wire: Wire) -> None:
    agent = make_agent(DATASTORE, options={"DEFAULT": {"conductor_queue": "elsewhere"}})
    agent.boot(wire)
    wire.call(agent.guest_id, "rpc_ping")
    assert conductor.of(agent.guest_id) == []
