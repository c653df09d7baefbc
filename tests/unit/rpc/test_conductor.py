"""Reports to the conductor: in order, none lost while it is away, with the names that it knows."""

import itertools
import json
import threading
import time
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import oslo_messaging
import pytest
from oslo_config import cfg

from guestagent.conformance.encryption import Cryptor
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import DatastoreError
from guestagent.contract.states import ServiceStatus
from guestagent.rpc.conductor import Conductor
from guestagent.rpc.envelope import PlainEnvelope, for_instance
from tests.unit.rpc.conftest import GUEST_ID, PATIENCE, ControlPlane

KEY = "0123456789abcdef0123456789abcdef"
NOTIFICATION = {
    "notification_classname": "trove.common.notification.DBaaSInstanceCreate",
    "server_type": "guest",
    "tenant_id": "tenant-a",
    "keys": {"name": "x"},
}
CONTEXT = RequestContext({"user": "u", "project_id": "p", "request_id": "req-1", "trove_notification": NOTIFICATION})


class Gate(PlainEnvelope):
    """Keeps the sending thread from sending until it is opened, as a broker that is away does."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()

    def seal_report(
        self, context: Mapping[str, Any], arguments: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        self.reached.set()
        assert self.open.wait(PATIENCE)
        return super().seal_report(context, arguments)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def held(transport: oslo_messaging.Transport, gate: Gate) -> Iterator[Conductor]:
    """A conductor whose first report is on its way and does not arrive before the gate opens."""
    made = Conductor(transport, "trove-conductor", GUEST_ID, gate)
    made.heartbeat(ServiceStatus.NEW)
    assert gate.reached.wait(PATIENCE)
    yield made
    gate.open.set()


def test_a_heartbeat(conductor: Conductor, control_plane: ControlPlane) -> None:
    before = time.time()
    conductor.heartbeat(ServiceStatus.RESTART_REQUIRED)
    report = control_plane.next()

    assert report.method == "heartbeat"
    assert report.context == {}
    assert report.arguments["instance_id"] == GUEST_ID
    assert report.arguments["payload"] == {"service_status": "restart required"}
    assert before <= report.arguments["sent"] <= time.time() + 1


def test_a_required_restart_has_been_heard_when_it_has_been_said(
    conductor: Conductor, control_plane: ControlPlane
) -> None:
    # An answer to the control plane must not overtake it: what comes next may be the restart.
    for _ in range(20):
        conductor.heartbeat(ServiceStatus.RESTART_REQUIRED)
        assert not control_plane.is_silent()
        control_plane.next()


def test_a_required_restart_that_is_not_confirmed_is_said_again(
    conductor: Conductor,
    listening: Callable[[], ControlPlane],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("guestagent.rpc.conductor.CONFIRM_SECONDS", 0.2)
    conductor.heartbeat(ServiceStatus.RESTART_REQUIRED)
    conductor.heartbeat(ServiceStatus.HEALTHY)
    assert conductor.flush(PATIENCE) is True
    assert "did not confirm 'heartbeat'" in caplog.text

    control_plane = listening()
    heard = [control_plane.next() for _ in range(3)]
    assert [report.arguments["payload"]["service_status"] for report in heard] == [
        "restart required",
        "restart required",
        "healthy",
    ]
    # The conductor recognises a repetition by its time.
    assert heard[0].arguments["sent"] == heard[1].arguments["sent"]


@pytest.mark.parametrize("status", ServiceStatus)
def test_every_status_can_be_said(conductor: Conductor, control_plane: ControlPlane, status: ServiceStatus) -> None:
    conductor.heartbeat(status)
    assert control_plane.next().arguments["payload"] == {"service_status": status.value}


def test_a_backup_has_only_the_fields_that_were_given(conductor: Conductor, control_plane: ControlPlane) -> None:
    conductor.update_backup(CONTEXT, "backup-1", state="COMPLETED", size=0.5)
    report = control_plane.next()

    assert report.method == "update_backup"
    assert report.context == CONTEXT.values
    sent = report.arguments.pop("sent")
    assert isinstance(sent, float)
    assert report.arguments == {
        "instance_id": GUEST_ID,
        "backup_id": "backup-1",
        "state": "COMPLETED",
        "size": 0.5,
    }


def test_root_is_reported_with_who_asked(conductor: Conductor, control_plane: ControlPlane) -> None:
    conductor.report_root(CONTEXT)
    report = control_plane.next()
    assert (report.method, report.arguments) == ("report_root", {"instance_id": GUEST_ID})
    assert report.context["user"] == "u"


def test_a_good_end_echoes_the_notification(conductor: Conductor, control_plane: ControlPlane) -> None:
    conductor.notify_end(CONTEXT)
    report = control_plane.next()
    assert report.method == "notify_end"
    assert report.arguments["serialized_notification"] == {**NOTIFICATION, "instance_id": GUEST_ID}
    assert report.arguments["notification_args"] == {}


def test_a_notification_keeps_the_instance_it_names(conductor: Conductor, control_plane: ControlPlane) -> None:
    named = {**NOTIFICATION, "instance_id": "the-requests-own"}
    conductor.notify_end(RequestContext({"trove_notification": named}))
    assert control_plane.next().arguments["serialized_notification"] == named


def test_a_bad_end_has_its_sentence_and_no_traceback(conductor: Conductor, control_plane: ControlPlane) -> None:
    conductor.notify_error(CONTEXT, DatastoreError(subject="Creating 'shop'", problem="disk full"))
    report = control_plane.next()
    assert report.method == "notify_exc_info"
    assert report.arguments["serialized_notification"] == {**NOTIFICATION, "instance_id": GUEST_ID}
    assert report.arguments["message"] == "Creating 'shop' failed: disk full."
    assert report.arguments["exception"] == ["DatastoreError: Creating 'shop' failed: disk full."]


@pytest.mark.parametrize(
    "values", [{}, {"trove_notification": None}, {"trove_notification": "x"}, {"trove_notification": {"a": 1}}]
)
def test_a_request_without_a_notification_is_not_notified(
    conductor: Conductor, control_plane: ControlPlane, values: dict[str, object]
) -> None:
    conductor.notify_end(RequestContext(values))
    conductor.notify_error(RequestContext(values), DatastoreError(subject="x", problem="y"))
    conductor.heartbeat(ServiceStatus.HEALTHY)
    assert control_plane.next().method == "heartbeat"


def test_the_order_of_the_reports_is_the_order_of_their_sending(
    conductor: Conductor, control_plane: ControlPlane
) -> None:
    for number in range(100):
        conductor.update_backup(CONTEXT, f"backup-{number}", state="BUILDING")
    assert [control_plane.next().arguments["backup_id"] for _ in range(100)] == [f"backup-{n}" for n in range(100)]


def test_nobody_who_reports_waits_for_the_broker(held: Conductor) -> None:
    started = time.monotonic()
    for _ in range(1000):
        held.update_backup(CONTEXT, "b", state="BUILDING")
        held.report_root(CONTEXT)
    assert time.monotonic() - started < PATIENCE / 2


def test_while_the_broker_is_away_only_the_newest_of_equal_heartbeats_is_kept(
    held: Conductor, gate: Gate, control_plane: ControlPlane
) -> None:
    for _ in range(500):
        held.heartbeat(ServiceStatus.HEALTHY)
    newest = time.time()
    held.heartbeat(ServiceStatus.HEALTHY)
    held.report_root(CONTEXT)
    gate.open.set()

    assert control_plane.next().arguments["payload"] == {"service_status": "new"}
    kept = control_plane.next()
    assert kept.arguments["payload"] == {"service_status": "healthy"}
    assert kept.arguments["sent"] >= newest
    assert control_plane.next().method == "report_root"


def test_heartbeats_that_differ_are_all_kept(held: Conductor, gate: Gate, control_plane: ControlPlane) -> None:
    for status in (ServiceStatus.BUILDING, ServiceStatus.HEALTHY, ServiceStatus.BUILDING):
        held.heartbeat(status)
    gate.open.set()
    said = [control_plane.next().arguments["payload"]["service_status"] for _ in range(4)]
    assert said == ["new", "building", "healthy", "building"]


def test_a_report_between_two_heartbeats_keeps_both(held: Conductor, gate: Gate, control_plane: ControlPlane) -> None:
    held.heartbeat(ServiceStatus.HEALTHY)
    held.report_root(CONTEXT)
    held.heartbeat(ServiceStatus.HEALTHY)
    gate.open.set()
    heard = [control_plane.next().method for _ in range(4)]
    assert heard == ["heartbeat", "heartbeat", "report_root", "heartbeat"]


def test_sent_always_grows_whatever_the_clock_does(
    conductor: Conductor, control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([2000.0, 2000.0, 1000.0, 2000.5, 2000.5])
    monkeypatch.setattr("guestagent.rpc.conductor.time", types.SimpleNamespace(time=lambda: next(clock)))
    statuses = list(ServiceStatus)[:5]
    for status in statuses:
        conductor.heartbeat(status)

    sent = [control_plane.next().arguments["sent"] for _ in statuses]
    assert all(earlier < later for earlier, later in itertools.pairwise(sent))
    assert sent[0] == 2000.0
    assert sent[-1] < 2000.6


def test_sent_is_counted_for_each_method(
    conductor: Conductor, control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([2000.0, 2000.0])
    monkeypatch.setattr("guestagent.rpc.conductor.time", types.SimpleNamespace(time=lambda: next(clock)))
    conductor.heartbeat(ServiceStatus.HEALTHY)
    conductor.update_backup(CONTEXT, "b")
    assert [control_plane.next().arguments["sent"] for _ in range(2)] == [2000.0, 2000.0]


def test_flush_waits_for_the_last_report(held: Conductor, gate: Gate, listening: Callable[[], ControlPlane]) -> None:
    held.report_root(CONTEXT)
    assert held.flush(0.05) is False

    gate.open.set()
    assert held.flush(PATIENCE) is True
    # What was flushed is on the bus before anybody listened.
    control_plane = listening()
    assert [control_plane.next().method for _ in range(2)] == ["heartbeat", "report_root"]


def test_nothing_to_say_is_flushed_at_once(conductor: Conductor) -> None:
    assert conductor.flush(0) is True


def test_a_report_that_cannot_be_sent_does_not_silence_the_next(
    conductor: Conductor, control_plane: ControlPlane, caplog: pytest.LogCaptureFixture
) -> None:
    conductor.update_backup(CONTEXT, "b", checksum={("no", "JSON"): 1})
    conductor.heartbeat(ServiceStatus.HEALTHY)

    assert control_plane.next().method == "heartbeat"
    assert "update_backup" in caplog.text
    assert conductor.flush(PATIENCE) is True


def test_with_a_key_every_report_is_sealed(
    transport: oslo_messaging.Transport, conf: cfg.ConfigOpts, control_plane: ControlPlane
) -> None:
    conductor = Conductor(transport, conf.conductor_queue, GUEST_ID, for_instance(KEY, GUEST_ID))
    conductor.report_root(CONTEXT)

    report = control_plane.next()
    wrapped = json.loads(report.arguments["instance_id"])
    assert wrapped["csz-instance-id"] == GUEST_ID
    assert Cryptor(KEY).decrypt(wrapped["entity"]) == GUEST_ID
    assert report.context["csz-instance-id"] == GUEST_ID
    assert Cryptor(KEY).decrypt(report.context["context"]) == CONTEXT.values
