"""Failures as they are on the wire: our module, our class, one sentence, and nothing that cannot be read."""

import json
from typing import Any

import pytest

from guestagent.conformance.wire import Failure, request_context
from tests.functional.rpc.conftest import Guest

OURS = "guestagent.contract.errors"


def failure_of(guest: Guest, method: str, args: dict[str, Any] | None = None, **how: Any) -> Failure:
    """The failure that a call is answered with; it is checked for what all failures have in common."""
    reply = guest.wire.ask(guest.id, method, args, key=guest.agent.key, **how)
    assert reply.failure is not None
    assert reply.raw["result"] is None, "something travelled beside the failure"
    assert reply.raw["ending"] is True
    failure = reply.failure
    assert failure.module == OURS
    assert failure.args == [failure.message]
    assert failure.kwargs == {}
    assert "\n" not in failure.message
    assert "Traceback" not in json.dumps(reply.raw)
    assert 'File "' not in json.dumps(reply.raw)
    return failure


@pytest.mark.parametrize(
    ("method", "args", "how", "name", "part"),
    [
        ("no_such_call", {}, {}, "UnknownCall", "'no_such_call'"),
        ("_begin", {}, {}, "UnknownCall", "'_begin'"),
        ("__init__", {"guest": 1}, {}, "UnknownCall", "'__init__'"),
        ("service_status", {}, {}, "UnknownCall", "'service_status'"),
        ("rpc_ping", {}, {"namespace": "elsewhere"}, "UnknownCall", "'elsewhere'"),
        ("describe", {}, {}, "UnknownCall", "'describe'"),
        ("rpc_ping", {}, {"version": "1.4"}, "UnsupportedVersion", "1.4"),
        ("rpc_ping", {}, {"version": "2.0"}, "UnsupportedVersion", "2.0"),
        ("rpc_ping", {}, {"version": "latest"}, "InvalidMessage", "version"),
        ("list_databases", {"zz": 1}, {}, "InvalidArguments", "zz"),
        ("list_databases", {"limit": "many"}, {}, "InvalidArguments", "limit"),
        ("create_database", {}, {}, "InvalidArguments", "databases"),
        ("list_users", {"limit": 20, "marker": None, "include_marker": False}, {}, "NotSupported", "'sleeper'"),
        ("create_database", {"databases": [{"_name": "refused"}]}, {}, "DatastoreError", "a test wants it so"),
        ("create_database", {"databases": [{"_name": "mistake"}]}, {}, "InternalError", "ZeroDivisionError"),
    ],
)
def test_a_failure_has_our_class_and_sentence(
    shared_guest: Guest, method: str, args: dict[str, Any], how: dict[str, str], name: str, part: str
) -> None:
    failure = failure_of(shared_guest, method, args, **how)
    assert failure.class_name == name
    assert part in failure.message


def test_a_mistake_tells_no_details_but_where_they_are(shared_guest: Guest) -> None:
    context = request_context()
    failure = failure_of(shared_guest, "create_database", {"databases": [{"_name": "mistake"}]}, context=context)

    assert "secret" not in failure.message
    assert context["request_id"] in failure.message
    assert context["request_id"] in shared_guest.agent.text()


def test_the_agents_own_namespace_answers(shared_guest: Guest) -> None:
    described = shared_guest.wire.call(
        shared_guest.id, "describe", namespace="guestagent", version="1.0", key=shared_guest.agent.key
    )
    assert described


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2", "1.3"])
def test_every_version_of_the_contract_is_spoken(shared_guest: Guest, version: str) -> None:
    assert shared_guest.wire.call(shared_guest.id, "rpc_ping", version=version, key=shared_guest.agent.key) is True
