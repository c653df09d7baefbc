"""The tests' own tools, against a bare oslo.messaging server: what they say must be what oslo says."""

import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestagent.conformance.child import Child, plain_environment
from guestagent.conformance.conductor import Conductor
from guestagent.conformance.poll import eventually
from guestagent.conformance.ports import LOOPBACK
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import CallFailed, NoReply, Wire, request_context

GUEST = "peer"
PEER = Path(__file__).with_name("oslo_peer.py")


@pytest.fixture
def peer(broker: Rabbit, exchange: str, tmp_path: Path) -> Iterator[Child]:
    child = Child(
        [sys.executable, str(PEER), broker.url, exchange, GUEST],
        environment=plain_environment(tmp_path),
        directory=tmp_path,
        output=tmp_path / "output",
    )
    yield child
    child.kill()


def test_a_call_that_was_sent_before_the_server_came_is_answered_by_it(wire: Wire, request: pytest.FixtureRequest):
    wire.declare_guest(GUEST)
    pending = wire.begin(GUEST, "echo", {"number": 1, "text": "ä"})
    eventually(lambda: wire.waiting(GUEST) == 1)
    assert not pending.answered

    request.getfixturevalue("peer")

    context, arguments = pending.result()
    assert arguments == {"number": 1, "text": "ä"}
    assert context["user"] == "user-a"


@pytest.fixture
def ready(wire: Wire, peer: Child) -> Child:
    wire.declare_guest(GUEST)
    wire.call(GUEST, "echo")
    return peer


@pytest.mark.usefixtures("ready")
def test_the_context_arrives_as_it_was_sent(wire: Wire):
    sent = request_context("trove.common.notification.DBaaSInstanceCreate", tenant="t")

    received, _ = wire.call(GUEST, "echo", context=sent)

    assert {name: received[name] for name in sent} == sent


@pytest.mark.usefixtures("ready")
def test_calls_overlap_and_each_gets_its_own_answer(wire: Wire):
    slow = wire.begin(GUEST, "sleep", {"seconds": 5})
    quick = [wire.begin(GUEST, "echo", {"number": number}) for number in range(5)]

    assert [pending.result()[1]["number"] for pending in quick] == list(range(5))
    assert not slow.answered
    assert slow.result() == 5


@pytest.mark.usefixtures("ready")
def test_a_failure_is_told_field_by_field(wire: Wire):
    failure = wire.ask(GUEST, "fail").failure

    assert failure is not None
    assert (failure.class_name, failure.module, failure.args) == ("ValueError", "builtins", ["no", 3])
    assert failure.traceback[-1].startswith("ValueError")
    with pytest.raises(CallFailed, match="NoSuchMethod"):
        wire.call(GUEST, "nothing of that name")
    with pytest.raises(CallFailed, match=r"RPC version 1\.4"):
        wire.call(GUEST, "echo", version="1.4")


@pytest.mark.usefixtures("ready")
def test_a_guest_that_is_not_there_gives_no_reply(wire: Wire):
    with pytest.raises(NoReply):
        wire.begin("nobody", "echo").reply(timeout=0.1)


@pytest.mark.usefixtures("ready")
def test_the_conductor_hears_casts_and_answers_calls(wire: Wire, conductor: Conductor):
    assert wire.call(GUEST, "report") == "answered"

    heartbeat = conductor.wait_for_status(GUEST, "healthy")
    backup = conductor.wait_for_method(GUEST, "update_backup")
    assert (heartbeat.is_call, backup.is_call) == (False, True)
    assert (heartbeat.encrypted_by, heartbeat.problem, heartbeat.version) == (None, None, "1.0")
    assert conductor.statuses(GUEST) == ["healthy"]


def test_the_conductor_says_what_it_heard_when_what_it_waits_for_does_not_come(conductor: Conductor):
    with pytest.raises(AssertionError, match=r"did not hear 'crashed' from peer in 0\.1 s; it heard:\n  nothing"):
        conductor.wait_for_status(GUEST, "crashed", timeout=0.1)


def test_all_of_them_come_back_after_a_restart_of_the_broker(
    broker: Rabbit, wire: Wire, conductor: Conductor, ready: Child
):
    broker.restart()

    conductor.wait_until_listening()
    wire.reconnect()
    wire.declare_guest(GUEST)
    assert wire.call(GUEST, "report", timeout=30) == "answered"
    conductor.wait_for_status(GUEST, "healthy")
    assert ready.returncode is None


def test_a_broker_that_was_killed_starts_again_on_its_port(broker: Rabbit, exchange: str):
    before = broker.url
    broker.kill()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((LOOPBACK, broker.port))

    broker.start()

    assert broker.url == before
    Wire(broker, exchange).close()


def test_the_broker_can_be_verified_by_its_name_and_not_by_its_address(broker: Rabbit):
    context = ssl.create_default_context(cafile=str(broker.authority.file))

    def shake_hands(name: str) -> str | None:
        with (
            socket.create_connection((LOOPBACK, broker.tls_port)) as plain,
            context.wrap_socket(plain, server_hostname=name) as secured,
        ):
            return secured.version()

    assert shake_hands(broker.tls_host) == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(LOOPBACK)
