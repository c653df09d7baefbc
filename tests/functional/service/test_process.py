"""The agent as a process: one, ready when it says so, and at home wherever it is started."""

import itertools
import os
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestagent.conformance.conductor import Conductor
from guestagent.conformance.poll import eventually
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire
from tests.conftest import MakeAgent
from tests.support.sleeper import DATASTORE, Sleeper

BACK = 40.0
"""Seconds within which everybody has found a broker that is there again."""
SOMEBODY = 54321
"""A numeric user id that no account has."""
KEY = "AFpGKhKtrVP0sWr2TDVYd3KOzO0WxtZy"
PASSWORD = "pa55-of-the-br0ker"


@pytest.fixture
def service_manager(guests_dir: Path) -> Iterator[socket.socket]:
    """The socket on which systemd hears that a service is ready."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(guests_dir / "notify"))
        made.settimeout(30)
        yield made


def test_it_waits_for_the_broker_and_is_ready_when_it_listens(
    make_agent: MakeAgent, broker: Rabbit, exchange: str, service_manager: socket.socket
) -> None:
    broker.stop()
    agent = make_agent(DATASTORE, environment={"NOTIFY_SOCKET": service_manager.getsockname()})
    agent.start()
    agent.wait_for_log("Connection refused")
    service_manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        service_manager.recv(100)

    broker.start()
    with Conductor(broker, exchange) as conductor, Wire(broker, exchange) as wire:
        service_manager.settimeout(BACK)
        assert service_manager.recv(100) == b"READY=1"
        assert wire.call(agent.guest_id, "rpc_ping") is True
        conductor.wait_for_status(agent.guest_id, "healthy", timeout=BACK)


def test_the_service_manager_hears_that_its_heart_beats(
    make_agent: MakeAgent, wire: Wire, service_manager: socket.socket
) -> None:
    watched = {"NOTIFY_SOCKET": service_manager.getsockname(), "WATCHDOG_USEC": "2000000"}
    agent = make_agent(DATASTORE, environment=watched)
    agent.start()
    assert [service_manager.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]


def test_the_service_manager_hears_no_more_when_the_heart_has_stopped(
    make_agent: MakeAgent, broker: Rabbit, service_manager: socket.socket
) -> None:
    watched = {"NOTIFY_SOCKET": service_manager.getsockname(), "WATCHDOG_USEC": "2000000"}
    agent = make_agent(DATASTORE, environment=watched, options={"agent": {"report_interval": 1}})
    Sleeper(agent)
    # The heartbeat reads it, and waits for somebody who writes.
    os.mkfifo(agent.state_dir / "status")
    agent.start()
    assert service_manager.recv(100) == b"READY=1"
    service_manager.settimeout(5)
    with pytest.raises(TimeoutError):
        list(itertools.islice(iter(lambda: service_manager.recv(100), b""), 40))
    agent.kill()


def test_it_is_one_process(make_agent: MakeAgent, wire: Wire) -> None:
    agent = make_agent(DATASTORE)
    agent.boot(wire)
    wire.call(agent.guest_id, "get_hwinfo")
    process = Path(f"/proc/{agent.process.pid}")
    assert b"guestagent" in (process / "cmdline").read_bytes()
    assert [children.read_text() for children in process.glob("task/*/children") if children.read_text()] == []
    names = {(thread / "comm").read_text() for thread in (process / "task").iterdir()}
    assert names


def test_its_state_is_its_own(make_agent: MakeAgent, wire: Wire) -> None:
    agent = make_agent(DATASTORE)
    agent.boot(wire)
    assert stat.S_IMODE(agent.state_dir.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody without an account")
def test_it_needs_no_account_and_no_home_and_writes_nowhere_else(
    make_agent: MakeAgent, wire: Wire, guests_dir: Path
) -> None:
    nowhere = guests_dir / "nowhere"
    nowhere.mkdir(mode=0o555)
    start = guests_dir / "start"
    start.write_text(
        "#!/bin/sh\nunset HOME TMPDIR\n"
        f"cd {nowhere}\n"
        f'exec setpriv --reuid {SOMEBODY} --regid {SOMEBODY} --clear-groups {sys.executable} "$@"\n'
    )
    start.chmod(0o755)
    agent = make_agent(DATASTORE, python=start)
    os.chown(agent.directory, SOMEBODY, SOMEBODY)
    agent.boot(wire)
    assert f"Uid:\t{SOMEBODY}\t{SOMEBODY}" in Path(f"/proc/{agent.process.pid}/status").read_text()
    assert (Path(f"/proc/{agent.process.pid}/cwd")).resolve() == nowhere

    wire.cast(agent.guest_id, "create_database", {"databases": [{"_name": "shop"}]})
    eventually(lambda: Sleeper(agent).databases() == ["shop"])
    assert wire.call(agent.guest_id, "describe", namespace="guestagent")
    assert agent.terminate() == 0
    assert list(nowhere.iterdir()) == []
    assert {path.name for path in agent.directory.iterdir()} <= {"agent.log", "conf.d", "state", "run", "storage"}
    assert {path.owner_id for path in map(Owned, agent.state_dir.rglob("*"))} == {SOMEBODY}


class Owned:
    """A path, with the number of its owner: the account has no name."""

    def __init__(self, path: Path) -> None:
        self.owner_id = path.stat().st_uid


def test_many_agents_live_side_by_side(make_agent: MakeAgent, wire: Wire) -> None:
    agents = [make_agent(DATASTORE) for _ in range(3)]
    for agent in agents:
        agent.start()
    for agent in agents:
        agent.wait_until_answers(wire)
    for number, agent in enumerate(agents):
        wire.cast(agent.guest_id, "create_database", {"databases": [{"_name": str(number)}]})
    eventually(lambda: [Sleeper(agent).databases() for agent in agents] == [["0"], ["1"], ["2"]])


def test_its_log_has_no_secret_even_with_debug(make_agent: MakeAgent, wire: Wire, broker: Rabbit) -> None:
    agent = make_agent(DATASTORE, key=KEY, options={"DEFAULT": {"debug": True}})
    agent.boot(wire)
    users = {"users": [{"_name": "ada", "_password": PASSWORD}]}
    wire.cast(agent.guest_id, "create_user", users, key=KEY)
    wire.ask(agent.guest_id, "enable_root_with_password", {"root_password": PASSWORD}, key=KEY)
    agent.reload()
    wire.call(agent.guest_id, "rpc_ping", key=KEY)
    assert agent.terminate() == 0
    assert " DEBUG " in agent.text()
    assert PASSWORD not in agent.text()
    assert KEY not in agent.text()


def test_nor_that_of_a_broker_which_does_not_let_it_in(make_agent: MakeAgent, broker: Rabbit) -> None:
    url = broker.url.replace("guest:guest", f"guest:{PASSWORD}")
    agent = make_agent(
        DATASTORE, transport_url=url, options={"DEFAULT": {"debug": True}, "agent": {"flush_timeout": 1}}
    )
    agent.start()
    agent.wait_for_log("ACCESS_REFUSED")
    assert agent.terminate() == 0
    assert PASSWORD not in agent.text()


def test_logs_that_nobody_can_archive_are_said_once_and_not_looked_for(make_agent: MakeAgent, wire: Wire) -> None:
    agent = make_agent(DATASTORE, options={"backup": {"archive_interval": 1}})
    agent.boot(wire)
    agent.wait_for_log("no archive strategy")
    wire.call(agent.guest_id, "restart")
    assert agent.text().count("archive strategy") == 1
