"""A guest on an in-memory bus: real transport, real queue of operations, a conductor that writes down what it hears."""

import dataclasses
import queue
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import oslo_messaging
import pytest
from oslo_config import cfg

from guestagent import conf as options
from guestagent.guest import Guest
from guestagent.operations.instance import InstanceRecord
from guestagent.operations.journal import Journal
from guestagent.operations.queue import OperationQueue
from guestagent.operations.store import Store
from guestagent.operations.vault import Vault
from guestagent.rpc.conductor import Conductor
from guestagent.rpc.envelope import PlainEnvelope
from guestagent.system.plain import PlainControl

GUEST_ID = "6c6f6e67-0000-4000-8000-000000000001"
PATIENCE = 10
"""Seconds that a test waits for what must come."""


@dataclasses.dataclass
class Report:
    """One message as the conductor got it."""

    method: str
    context: dict[str, Any]
    arguments: dict[str, Any]


class ControlPlane:
    """The conductor's side of the bus; its methods have the names and arguments that Trove's conductor has."""

    target = oslo_messaging.Target(version="1.0")

    def __init__(self) -> None:
        self._heard: queue.SimpleQueue[Report] = queue.SimpleQueue()

    def next(self) -> Report:
        """The next report; fails the test when none comes."""
        return self._heard.get(timeout=PATIENCE)

    def is_silent(self) -> bool:
        """Whether everything that came has been looked at."""
        return self._heard.empty()

    def heartbeat(self, ctxt: dict[str, Any], instance_id: str, payload: dict[str, Any], sent: float) -> None:
        self._heard.put(Report("heartbeat", ctxt, {"instance_id": instance_id, "payload": payload, "sent": sent}))

    def update_backup(self, ctxt: dict[str, Any], instance_id: str, backup_id: str, sent: float, **fields: Any) -> None:
        arguments = {"instance_id": instance_id, "backup_id": backup_id, "sent": sent, **fields}
        self._heard.put(Report("update_backup", ctxt, arguments))

    def report_root(self, ctxt: dict[str, Any], instance_id: str) -> None:
        self._heard.put(Report("report_root", ctxt, {"instance_id": instance_id}))

    def notify_end(
        self, ctxt: dict[str, Any], serialized_notification: dict[str, Any], notification_args: dict[str, Any]
    ) -> None:
        arguments = {"serialized_notification": serialized_notification, "notification_args": notification_args}
        self._heard.put(Report("notify_end", ctxt, arguments))

    def notify_exc_info(
        self, ctxt: dict[str, Any], serialized_notification: dict[str, Any], message: str, exception: list[str]
    ) -> None:
        arguments = {
            "serialized_notification": serialized_notification,
            "message": message,
            "exception": exception,
        }
        self._heard.put(Report("notify_exc_info", ctxt, arguments))


@pytest.fixture
def conf(tmp_path: Path) -> cfg.ConfigOpts:
    """The global options, as an agent has them; on a bus that no other test uses."""
    options.register(cfg.CONF)
    file = tmp_path / "agent.conf"
    file.write_text(
        f"[DEFAULT]\nguest_id = {GUEST_ID}\ntransport_url = fake:/\ncontrol_exchange = {uuid.uuid4().hex}\n"
        f"[agent]\nstate_dir = {tmp_path / 'state'}\n"
    )
    cfg.CONF(["--config-file", str(file)], project="guestagent", default_config_dirs=[])
    return cfg.CONF


@pytest.fixture
def transport(conf: cfg.ConfigOpts) -> Iterator[oslo_messaging.Transport]:
    """oslo.messaging's own in-memory bus, empty."""
    made = oslo_messaging.get_rpc_transport(conf)
    yield made
    made.cleanup()


@pytest.fixture
def listening(transport: oslo_messaging.Transport) -> Iterator[Callable[[], ControlPlane]]:
    """Starts the control plane's end when the test says so."""
    servers = []

    def listen() -> ControlPlane:
        control_plane = ControlPlane()
        target = oslo_messaging.Target(topic="trove-conductor", server="test")
        server = oslo_messaging.get_rpc_server(transport, target, [control_plane])
        # One thread, so that the order of the reports is that of their sending.
        server.start(override_pool_size=1)
        servers.append(server)
        return control_plane

    yield listen
    for server in servers:
        # Its wait() takes a second to find its threads idle.
        server.stop()


@pytest.fixture
def control_plane(listening: Callable[[], ControlPlane]) -> ControlPlane:
    return listening()


@pytest.fixture
def conductor(transport: oslo_messaging.Transport) -> Conductor:
    return Conductor(transport, "trove-conductor", GUEST_ID, PlainEnvelope())


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    made = tmp_path / "state"
    made.mkdir()
    return made


@pytest.fixture
def store(state_dir: Path) -> Iterator[Store]:
    made = Store(state_dir)
    yield made
    made.close()


@pytest.fixture
def journal(store: Store, state_dir: Path) -> Journal:
    return Journal(store, Vault(state_dir), keep=lambda: 100)


@pytest.fixture
def busy_wait() -> float:
    """Seconds that an operation waits for its turn."""
    return 60


@pytest.fixture
def operations(journal: Journal, busy_wait: float) -> Iterator[OperationQueue]:
    made = OperationQueue(lambda: busy_wait, journal)
    yield made
    made.drain()


@pytest.fixture
def guest(
    conf: cfg.ConfigOpts,
    tmp_path: Path,
    state_dir: Path,
    store: Store,
    operations: OperationQueue,
    conductor: Conductor,
) -> Guest:
    """What a manager is made with."""
    return Guest(
        id=GUEST_ID,
        datastore="sleeper",
        conf=conf,
        state_dir=state_dir,
        record=InstanceRecord(store),
        processes=PlainControl(tmp_path / "run"),
        operations=operations,
        report=conductor.heartbeat,
    )
