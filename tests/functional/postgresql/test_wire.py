"""What Trove's control plane said to a PostgreSQL guest, as it was seen on the wire, and what it is answered here."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guestagent.conformance.agent import AgentProcess
from guestagent.conformance.conductor import Conductor
from guestagent.conformance.directories import reachable_directory
from guestagent.conformance.poll import eventually
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire, request_context
from tests.support import postgresql


def seen(name: str) -> list[dict[str, Any]]:
    """Requests in their order."""
    lines = (Path(__file__).parent / "fixtures" / f"{name}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


SEEN = seen("requests")
"""Those of: create an instance, databases, users, root, guest log, TLS."""
LIFE = seen("life")
"""Those of the rest: restarts, another flavour, diagnostics, modules, snapshots, replicas, upgrade and rebuild."""
REPLICATION = {
    "backup_required_for_replication",
    "get_replication_snapshot",
    "get_latest_txn_id",
    "get_last_txn",
    "wait_for_txn",
    "detach_replica",
    "enable_as_master",
    "get_replica_context",
    "attach_replica",
    "demote_replication_master",
}
HERE = "C.UTF-8"
"""A locale that every Debian has, in place of the one that was asked for."""
NOTIFICATION = "trove.common.notification.DBaaSUserCreate"
DATABASE = {"_character_set": None, "_collate": None}


@pytest.fixture
def agent(broker: Rabbit, exchange: str, wire: Wire) -> Iterator[AgentProcess]:
    with reachable_directory() as directory:
        (directory / "db").mkdir()
        made = AgentProcess(
            directory / "agent",
            str(uuid.uuid4()),
            transport_url=broker.url,
            exchange=exchange,
            datastore=postgresql.DATASTORE,
            options=postgresql.options(directory / "db"),
        )
        made.boot(wire)
        yield made
        wire.call(made.guest_id, "stop_db", timeout=60)
        made.close()


def test_the_rest_of_its_life_is_lived_or_refused_in_words(
    agent: AgentProcess, wire: Wire, conductor: Conductor
) -> None:
    wire.cast(agent.guest_id, "prepare", SEEN[0]["kwargs"] | {"databases": [], "users": []}, version="1.1")
    conductor.wait_for_status(agent.guest_id, "healthy", timeout=90)
    for request in LIFE:
        method = request["method"]
        # The guest that was seen had another version.
        arguments = json.loads(json.dumps(request["kwargs"]).replace('"16"', '"15"'))
        if request["kind"] == "cast":
            context = request_context()
            wire.cast(agent.guest_id, method, arguments, version=request["version"], context=context)
            assert ended(agent, wire, context["request_id"]) == "done", method
            continue
        failure = wire.ask(agent.guest_id, method, arguments, version=request["version"], timeout=60).failure
        if method in REPLICATION:
            assert failure is not None
            assert failure.class_name == "NotSupported", method
        else:
            assert failure is None, (method, failure)
    status = wire.call(agent.guest_id, "get_status", namespace="guestagent")
    assert (status["service_status"], status["datastore_version"]) == ("healthy", "15")


def ended(agent: AgentProcess, wire: Wire, request_id: str) -> str:
    """How the operation of a request ends."""

    def end() -> str:
        found = wire.call(agent.guest_id, "operation_list", {"limit": 5}, namespace="guestagent")
        return next((one["state"] for one in found if one["request_id"] == request_id and one["ended"]), "")

    return eventually(end, timeout=90, message=agent.tail)


def test_the_requests_that_were_seen_are_answered(agent: AgentProcess, wire: Wire, conductor: Conductor) -> None:
    answers: list[tuple[str, Any]] = []
    for request in SEEN:
        method, version = request["method"], request["version"]
        arguments = json.loads(json.dumps(request["kwargs"]).replace("en_US.UTF-8", HERE))
        if request["kind"] == "cast":
            heard = len(conductor.reports)
            wire.cast(agent.guest_id, method, arguments, version=version, context=request_context(NOTIFICATION))
            ended = conductor.wait_for_method(agent.guest_id, "notify_end", "notify_exc_info", timeout=90, after=heard)
            answers.append((method, ended.args.get("message")))
        else:
            answers.append((method, wire.call(agent.guest_id, method, arguments, version=version, timeout=60)))

    def of(method: str) -> list[Any]:
        return [answer for name, answer in answers if name == method]

    assert of("prepare") == [None]
    appdb = {"_name": "appdb", "_character_set": "UTF8", "_collate": HERE}
    plain, newdb = appdb | {"_name": "plain"}, appdb | {"_name": "newdb"}
    # As the control plane looks whether a database exists, creates it, turns pages, looks again, and drops it.
    assert of("list_databases") == [
        [[appdb, plain], None],
        [[plain], None],
        [[appdb], "appdb"],
        [[newdb, plain], None],
        [[newdb], "newdb"],
    ]
    assert (of("create_database"), of("delete_database")) == ([None], [None])
    app = {
        "_name": "app",
        "_host": "%",
        "_password": None,
        "_databases": [{"_name": "appdb", **DATABASE}],
        "_is_root": False,
    }
    u2 = app | {"_name": "u2", "_databases": []}
    both = app | {"_databases": [*app["_databases"], {"_name": "plain", **DATABASE}]}
    assert of("list_users") == [[[app, u2], None], [[u2], None], [[app], "app"], [[u2], None]]
    # Roles have no hosts.
    assert "no hosts" in of("create_user")[0]
    assert "no hosts" in of("update_attributes")[0]
    assert of("get_user") == [app, None, app, app, app, app, both, u2]
    assert of("list_access") == [app["_databases"], both["_databases"]]
    assert (of("change_passwords"), of("grant_access"), of("revoke_access")) == ([None], [None], [None])
    assert of("delete_user") == [None]
    generated, given = of("enable_root")[0], of("enable_root_with_password")[0]
    assert {**given, "_password": None} == u2 | {"_name": "postgres", "_is_root": True}
    assert (given["_password"], len(generated["_password"]) >= 20) == ("rootpw2", True)
    assert of("disable_root") == [None]
    [logs] = of("guest_log_list")
    assert "general" in [log["name"] for log in logs]
    assert [log["status"] for log in of("guest_log_action")] == ["Ready", "Published", "Ready", "Disabled"]
    assert of("ssl_show") == [{"status": "off"}]
