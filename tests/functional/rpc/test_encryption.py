"""An instance with a key: what is not encrypted with it is refused, and does nothing."""

import json
from typing import Any

import pytest

from guestagent.conformance import messages
from guestagent.conformance.conductor import Conductor
from guestagent.conformance.encryption import Cryptor
from guestagent.conformance.poll import eventually
from guestagent.conformance.wire import Wire, request_context
from tests.conftest import MakeAgent
from tests.functional.rpc.conftest import KEY, Guest
from tests.support.sleeper import DATASTORE, Sleeper

OTHER_KEY = "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"
SHOP = {"databases": [{"_name": "shop"}]}
NOTIFICATION = "trove.common.notification.DBaaSDatabaseCreate"


@pytest.fixture
def sealed(make_agent: MakeAgent, wire: Wire) -> Guest:
    """A guest with a key."""
    agent = make_agent(DATASTORE, key=KEY)
    agent.boot(wire)
    return Guest(agent, wire, Sleeper(agent))


def test_both_ways(sealed: Guest, conductor: Conductor) -> None:
    conductor.keys[sealed.id] = KEY
    context = request_context(NOTIFICATION)
    names = {"databases": [{"_name": "größe"}]}
    sealed.wire.cast(sealed.id, "create_database", names, key=KEY, context=context)

    end = conductor.wait_for_method(sealed.id, "notify_end")
    assert end.encrypted_by == sealed.id
    assert end.context["request_id"] == context["request_id"]
    assert sealed.wire.call(sealed.id, "list_databases", key=KEY) == [
        [{"_name": "größe", "_character_set": None, "_collate": None}],
        None,
    ]


def test_results_are_sealed_and_failures_are_not(sealed: Guest) -> None:
    for method, result in (("rpc_ping", True), ("restart", None)):
        reply = sealed.wire.ask(sealed.id, method, key=KEY)
        assert isinstance(reply.raw["result"], str)
        assert reply.result is result
    failure = sealed.wire.ask(sealed.id, "list_users", key=KEY).failure
    assert failure is not None
    assert "not supported" in failure.message


def test_requests_that_are_not_encrypted_with_the_key_do_nothing(sealed: Guest, conductor: Conductor) -> None:
    conductor.keys[sealed.id] = KEY
    mark = len(sealed.agent.text())
    half = sealed.wire.message("create_database", SHOP, key=KEY) | {"args": SHOP}
    half_context = sealed.wire.message("create_database", SHOP, key=KEY) | {"_context_context": "bm90aGluZw=="}
    notified = request_context(NOTIFICATION)
    wrong: list[dict[str, Any]] = [
        sealed.wire.message("create_database", SHOP),
        sealed.wire.message("create_database", SHOP, context=notified),
        sealed.wire.message("create_database", SHOP, key=OTHER_KEY),
        half,
        half_context,
    ]
    for message in wrong:
        sealed.wire.send_raw(messages.pack(message), sealed.id)
    eventually(lambda: sum("refused" in line for line in sealed.log_lines_since(mark)) == len(wrong))

    assert sealed.wire.call(sealed.id, "list_databases", key=KEY) == [[], None]
    assert sealed.sleeper.began("create_database") == []
    assert conductor.of(sealed.id, "notify_exc_info") == []


@pytest.mark.parametrize("key", [None, OTHER_KEY], ids=["plain", "wrong key"])
@pytest.mark.parametrize("method", ["rpc_ping", "list_databases", "restart"])
def test_a_caller_without_the_key_is_told_so(sealed: Guest, method: str, key: str | None) -> None:
    failure = sealed.wire.ask(sealed.id, method, {}, key=key).failure
    assert failure is not None
    assert failure.module == "guestagent.contract.errors"
    assert failure.class_name == "InvalidMessage"
    assert "not encrypted with this instance's key" in failure.message
    assert sealed.sleeper.began(method) == []


def test_a_text_that_decrypts_to_no_json_is_answered(sealed: Guest) -> None:
    """Where the control plane's own agent cannot send its answer, and the caller waits for its whole time-out."""
    message = sealed.wire.message("list_databases", {"limit": 1}, key=KEY)
    message["args"]["limit"] = Cryptor(KEY).encrypt_bytes(b"\xff\xfe")
    pending = sealed.wire.begin(sealed.id, "list_databases", {"limit": 1}, key=OTHER_KEY)
    failure = pending.reply().failure
    assert failure is not None
    json.dumps(failure.args)
    assert sealed.wire.call(sealed.id, "rpc_ping", key=KEY) is True


def test_nothing_secret_is_in_the_log(sealed: Guest) -> None:
    password = "pa55-in-an-argument"
    users = [{"_name": "ada", "_password": password}]
    sealed.wire.cast(sealed.id, "create_user", {"users": users}, key=KEY)
    sealed.wire.ask(sealed.id, "create_user", {"users": [{"_name": 7, "_password": password}]}, key=KEY)
    sealed.wire.ask(sealed.id, "enable_root_with_password", {"root_password": [password]}, key=KEY)
    sealed.wire.ask(sealed.id, "create_user", {"users": users}, key=OTHER_KEY)
    sealed.wire.call(sealed.id, "rpc_ping", key=KEY)
    text = sealed.agent.text()
    assert password not in text
    assert KEY not in text
