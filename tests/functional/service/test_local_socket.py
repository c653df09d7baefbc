"""The agent of this machine without the broker: what a person who has logged in can still see."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from guestagent.conformance.agent import AgentProcess
from guestagent.conformance.poll import eventually
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire
from tests.conftest import MakeAgent
from tests.support.sleeper import DATASTORE, Sleeper


@pytest.fixture
def agent(make_agent: MakeAgent, wire: Wire) -> AgentProcess:
    made = make_agent(DATASTORE)
    made.boot(wire)
    return made


def ctl(agent: AgentProcess, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "guestagent.cmd.guestagentctl", "--config-dir", str(agent.config_dir), *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**agent.environment, "COLUMNS": "200"},
    )


def operations(agent: AgentProcess) -> list[dict[str, Any]]:
    done = ctl(agent, "operations", "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_operations_are_seen_and_cancelled_while_the_broker_is_away(
    agent: AgentProcess, wire: Wire, broker: Rabbit
) -> None:
    sleeper = Sleeper(agent)
    sleeper.hold("create_backup.second")
    wire.cast(agent.guest_id, "create_backup", {"backup_info": {"id": "b"}})
    sleeper.wait_until_began("create_backup.second")
    broker.stop()

    [running] = operations(agent)
    assert (running["call"], running["state"], running["phase"]) == ("create_backup", "running", "second")
    table = ctl(agent, "operations")
    assert "create_backup" in table.stdout
    assert "running" in table.stdout
    one = ctl(agent, "operations", running["id"])
    assert "first" in one.stdout
    cancelled = ctl(agent, "operations", "--cancel", running["id"])
    assert cancelled.returncode == 0, cancelled.stderr
    eventually(lambda: operations(agent)[0]["state"] == "cancelled")
    sleeper.release("create_backup.second")


def test_the_socket_is_for_root_and_goes_with_the_agent(agent: AgentProcess) -> None:
    [socket] = (agent.directory / "run").glob("*.sock")
    assert socket.stat().st_mode & 0o777 == 0o600
    assert socket.stat().st_uid == os.geteuid()
    agent.terminate()
    assert not socket.exists()


def test_the_socket_of_a_killed_agent_is_in_nobodys_way(agent: AgentProcess, wire: Wire) -> None:
    agent.kill()
    agent.boot(wire)
    assert operations(agent) == []


def test_the_engine_is_converted_from_the_machine(agent: AgentProcess) -> None:
    done = ctl(agent, "convert-engine", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["after"] == "convergence"
