"""Every method of Trove's own client for a guest, on the real agent with a real MariaDB."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.control_plane import Client, ControlPlane, names
from tests.support import mariadb
from tests.support.agent import AgentProcess
from tests.support.poll import eventually
from tests.support.rabbit import Rabbit


@pytest.fixture(scope="module")
def control_plane(
    rabbit: Rabbit, trove_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    rabbit.start()
    with ControlPlane(tmp_path_factory.mktemp("trove"), trove_python, rabbit, f"trove-{uuid.uuid4().hex[:8]}") as made:
        yield made


@pytest.fixture
def agent(control_plane: ControlPlane, guests_dir: Path) -> Iterator[AgentProcess]:
    instance = control_plane.do("create_instance", manager="mariadb", encrypted=True)
    database = guests_dir / "database"
    database.mkdir()
    made = AgentProcess(
        guests_dir / "agent",
        instance["id"],
        transport_url=control_plane.broker.url,
        exchange=control_plane.exchange,
        datastore=mariadb.DATASTORE,
        key=instance["key"],
        options=mariadb.options(database),
    )
    yield made
    made.close()


def test_a_guest_that_boots_after_prepare_was_sent_is_prepared(
    agent: AgentProcess, control_plane: ControlPlane
) -> None:
    client = Client(control_plane, agent.guest_id)
    client.call("prepare", memory_mb=512, packages="", databases=[], users=[], device_path=None, mount_point=None)
    agent.start()
    assert eventually(lambda: client.call("rpc_ping"), timeout=60) is True
    client.call("create_database", databases=[{"_name": "one"}])
    agent.wait_for_log("create_database (request", timeout=60)
    page, marker = client.call("list_databases")
    assert (names(page), marker) == (["one"], None)
