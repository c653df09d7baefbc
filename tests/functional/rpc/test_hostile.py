"""What nobody should send: a typed error or a line in the log, and the agent and its database as before."""

import itertools
import json
import pickle
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guestagent.conformance import messages
from guestagent.conformance.encryption import Cryptor
from guestagent.conformance.poll import eventually
from guestagent.conformance.wire import Wire
from tests.conftest import MakeAgent
from tests.functional.rpc.conftest import Guest
from tests.support.sleeper import DATASTORE, Sleeper

MIB = 1 << 20
BIG = 10 * MIB
DEEP = 100_000


@pytest.fixture(autouse=True)
def as_before(shared_guest: Guest) -> Iterator[None]:
    """Whatever a test sends, the agent answers afterwards, is the same process and did nothing."""
    guest = shared_guest
    pid = guest.agent.process.pid
    done = guest.sleeper.databases(), guest.sleeper.began("restart")
    yield
    assert guest.wire.call(guest.id, "rpc_ping", key=guest.agent.key) is True
    assert guest.wire.call(guest.id, "list_databases", key=guest.agent.key)
    assert guest.agent.running
    assert guest.agent.process.pid == pid
    assert (guest.sleeper.databases(), guest.sleeper.began("restart")) == done


def spoilt(guest: Guest, **parts: Any) -> dict[str, Any]:
    """A good message that would restart the server, with some parts replaced."""
    return guest.wire.message("restart", {}, key=guest.agent.key) | parts


def check_refused(guest: Guest, message: dict[str, Any]) -> str:
    """Send a message as a call and return the sentence of our own that refuses it."""
    failure = guest.wire.begin_message(guest.id, message, key=guest.agent.key).reply().failure
    assert failure is not None
    assert failure.module == "guestagent.contract.errors"
    assert len(failure.message) < 1100
    assert failure.message.isprintable()
    return failure.message


@pytest.mark.parametrize(
    "parts",
    [
        {"args": ["a"]},
        {"args": "restart"},
        {"args": 7},
        {"args": None},
        {"method": None},
        {"method": 7},
        {"method": ["restart"]},
        {"method": {"restart": 1}},
        {"method": "restart\nERROR forged line"},
        {"method": "r" * MIB},
        {"namespace": ["guestagent"]},
        {"namespace": {"a": 1}},
        {"namespace": 7},
        {"namespace": "n" * MIB},
        {"version": 1.0},
        {"version": "1.4"},
        {"version": "2.0"},
        {"version": "1"},
        {"version": "9" * 10_000 + ".0"},
        {"version": ["1.0"]},
        {"version": {"1": "0"}},
    ],
    ids=lambda parts: repr(parts)[:40],
)
def test_a_message_of_the_wrong_form_is_refused(shared_guest: Guest, parts: dict[str, Any]) -> None:
    mark = len(shared_guest.agent.text())
    check_refused(shared_guest, spoilt(shared_guest, **parts))
    lines = shared_guest.log_lines_since(mark)
    assert len(lines) == 1
    assert len(lines[0]) < 1500


@pytest.mark.parametrize(
    "arguments",
    [
        {"unknown": 1},
        {"context": {}},
        {"self": 1},
        {"": 1},
        {"x" * MIB: 1},
        {"a": "x" * BIG},
        {"a": [[]] * 200_000},
        {"'; DROP DATABASE testdb; --": 1},
    ],
    ids=lambda arguments: repr(arguments)[:40],
)
def test_arguments_that_nobody_declared_are_refused(shared_guest: Guest, arguments: dict[str, Any]) -> None:
    mark = len(shared_guest.agent.text())
    message = shared_guest.wire.message("restart", arguments, key=shared_guest.agent.key)
    assert "'restart'" in check_refused(shared_guest, message)
    assert sum(map(len, shared_guest.log_lines_since(mark))) < 2000


def test_an_argument_that_is_nested_too_deep_is_refused(shared_guest: Guest) -> None:
    deep = "[" * DEEP + "]" * DEEP
    if shared_guest.agent.key:
        sealed = Cryptor(shared_guest.agent.key).encrypt_bytes(deep.encode())
        check_refused(shared_guest, spoilt(shared_guest, args={"a": sealed}))
    else:
        nearly = json.loads("[" * 900 + "]" * 900)
        check_refused(shared_guest, spoilt(shared_guest, args={"a": nearly}))


ENVELOPES: dict[str, bytes] = {
    "nothing": b"",
    "broken JSON": b'{"oslo.version": "2.0", "oslo.message": ',
    "no JSON": b"\xff\xfe\x00restart",
    "null": b"null",
    "number": b"7",
    "text": b'"restart"',
    "list": b"[]",
    "list of pairs": b'[["method", "no_such_call"], ["args", {}]]',
    "empty mapping": b"{}",
    "no envelope": b'{"hello": "world"}',
    "without its message": b'{"oslo.version": "2.0"}',
    "of another version": b'{"oslo.version": "9.0", "oslo.message": "{}"}',
    "of no version": b'{"oslo.version": [], "oslo.message": "{}"}',
    "with broken JSON inside": b'{"oslo.version": "2.0", "oslo.message": "{"}',
    "with null inside": b'{"oslo.version": "2.0", "oslo.message": "null"}',
    "with a list inside": b'{"oslo.version": "2.0", "oslo.message": "[1, 2]"}',
    "with a number inside": b'{"oslo.version": "2.0", "oslo.message": "7"}',
    "with an empty mapping inside": b'{"oslo.version": "2.0", "oslo.message": "{}"}',
    "with a mapping that is no text": b'{"oslo.version": "2.0", "oslo.message": {"method": "restart"}}',
    "nested too deep": b"[" * DEEP + b"]" * DEEP,
    "nested too deep inside": json.dumps({"oslo.version": "2.0", "oslo.message": "[" * DEEP}).encode(),
    "of 10 MiB": b'{"x": "' + b"y" * BIG + b'"}',
    "of 10 MiB that is no JSON": b"\x00" * BIG,
}


@pytest.mark.parametrize("kind", ENVELOPES)
def test_a_body_that_is_no_message_is_dropped_with_a_line_in_the_log(shared_guest: Guest, kind: str) -> None:
    mark = len(shared_guest.agent.text())
    shared_guest.wire.send_raw(ENVELOPES[kind], shared_guest.id)
    eventually(lambda: shared_guest.log_lines_since(mark), message="the log says nothing of it")
    assert sum(map(len, shared_guest.log_lines_since(mark))) < 20_000


@pytest.mark.parametrize(
    "properties",
    [
        {"content_type": "text/plain"},
        {"content_type": "application/x-unheard-of"},
        {"content_type": "application/x-python-serialize", "content_encoding": "binary"},
        {"content_encoding": "no-such-encoding"},
        {"content_type": None, "content_encoding": None},
    ],
    ids=str,
)
def test_a_body_of_another_type_executes_nothing(
    shared_guest: Guest, properties: dict[str, Any], tmp_path: Path
) -> None:
    proof = tmp_path / "executed"
    shared_guest.wire.send_raw(pickle.dumps(Executed(proof)), shared_guest.id, **properties)
    shared_guest.wire.call(shared_guest.id, "rpc_ping", key=shared_guest.agent.key)
    assert not proof.exists()


class Executed:
    """Leaves a file when it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self._proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._proof,)


@pytest.mark.parametrize(
    "parts",
    [
        {"_msg_id": {"a": 1}, "_reply_q": "nobody"},
        {"_msg_id": "m", "_reply_q": {"a": 1}},
        {"_msg_id": "m", "_reply_q": 7},
        {"_msg_id": "m", "_reply_q": "q" * 300},
        {"_unique_id": {"a": 1}},
        {"_unique_id": None},
        {"_timeout": "soon"},
        {"_context_request_id": "r" * MIB, "_context_trove_notification": 7},
        {"_context_trove_notification": {"notification_classname": {"a": [1]}}},
    ],
    ids=lambda parts: repr(parts)[:60],
)
def test_fields_of_the_transport_that_are_wrong_harm_nobody_else(shared_guest: Guest, parts: dict[str, Any]) -> None:
    message = shared_guest.wire.message("no_such_call", {}, key=shared_guest.agent.key) | parts
    shared_guest.wire.send_raw(messages.pack(message), shared_guest.id)


def test_callers_that_are_gone_do_not_keep_others_waiting(shared_guest: Guest) -> None:
    for number in range(20):
        message = shared_guest.wire.message("rpc_ping", {}, key=shared_guest.agent.key)
        message |= {"_msg_id": f"gone-{number}", "_reply_q": "reply_gone"}
        shared_guest.wire.send_raw(messages.pack(message), shared_guest.id)
    assert shared_guest.wire.call(shared_guest.id, "rpc_ping", key=shared_guest.agent.key, timeout=30) is True


@pytest.fixture
def fresh_guest(shared_guest: Guest, make_agent: MakeAgent, wire: Wire) -> Guest:
    """An agent of the test's own, whose memory nothing has passed through yet."""
    agent = make_agent(DATASTORE, key=shared_guest.agent.key)
    agent.boot(wire)
    return Guest(agent, wire, Sleeper(agent))


def test_thousands_of_unknown_calls_do_not_fill_the_memory(fresh_guest: Guest) -> None:
    def flood(times: int) -> None:
        fresh_guest.wire.replies.clear()
        pending = [
            fresh_guest.wire.begin(fresh_guest.id, f"no_such_call_{number}", {"a": "x" * 1000}, timeout=60)
            for number in range(times)
        ]
        assert all(call.reply().failure for call in pending)
        for number in range(times):
            fresh_guest.wire.cast(fresh_guest.id, f"no_such_cast_{number}", {"a": "x" * 1000})
        fresh_guest.wire.call(fresh_guest.id, "rpc_ping", key=fresh_guest.agent.key, timeout=60)

    def kib_of_most_floods() -> float:
        resident = []
        for _ in range(8):
            flood(500)
            resident.append(fresh_guest.resident_kib())
        return statistics.median(after - before for before, after in itertools.pairwise(resident))

    # Room for what comes at once is taken now and then, and on a busy machine in most of the first floods, until it is
    # enough; what stays of each message would take it in most floods for ever.
    assert any(kib_of_most_floods() < 512 for _ in range(4))


def test_big_messages_do_not_stay_in_the_memory(fresh_guest: Guest) -> None:
    def send(times: int) -> None:
        for _ in range(times):
            message = fresh_guest.wire.message("restart", {"a": "x" * BIG}, key=fresh_guest.agent.key)
            check_refused(fresh_guest, message)

    # The first ones fill pools of the C library, one for each thread that they pass through, which vary by a few.
    send(20)
    before = fresh_guest.resident_kib()
    send(40)
    assert fresh_guest.resident_kib() - before < 10 * BIG // 1024


class TestReplayed:
    """A message that comes twice, as a broker may send it or a stranger who recorded it."""

    @pytest.fixture(autouse=True)
    def as_before(self) -> None:
        """Here something is done, once."""

    def test_is_done_once(self, shared_guest: Guest) -> None:
        before = len(shared_guest.sleeper.databases())
        mark = len(shared_guest.agent.text())
        name = {"databases": [{"_name": "once"}]}
        body = messages.pack(shared_guest.wire.message("create_database", name, key=shared_guest.agent.key))
        for _ in range(5):
            shared_guest.wire.send_raw(body, shared_guest.id)
        last = {"databases": [{"_name": "last"}]}
        shared_guest.wire.cast(shared_guest.id, "create_database", last, key=shared_guest.agent.key)

        eventually(lambda: "last" in shared_guest.sleeper.databases())
        assert shared_guest.sleeper.databases()[before:] == ["once", "last"]
        assert any("duplicate" in line for line in shared_guest.log_lines_since(mark))
