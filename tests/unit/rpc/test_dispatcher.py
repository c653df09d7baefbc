"""What one message comes to: which call, with which arguments, refused or done, and how its end is told."""

import base64
import contextlib
import dataclasses
import datetime
import json
import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import msgspec
import oslo_messaging
import pytest

from guestagent import contract
from guestagent.conformance.poll import eventually
from guestagent.contract import errors
from guestagent.contract.call import OWN, TROVE
from guestagent.contract.context import RequestContext
from guestagent.contract.databases import Database
from guestagent.contract.operations import CodePath
from guestagent.contract.states import Phase
from guestagent.contract.users import PasswordChange, User
from guestagent.guest import Guest
from guestagent.manager import BaseDatastoreManager
from guestagent.operations.journal import Journal
from guestagent.operations.operation import Operation
from guestagent.operations.queue import OperationQueue
from guestagent.operations.recovery import Recovery
from guestagent.rpc.conductor import Conductor
from guestagent.rpc.dispatcher import Dispatcher, is_prompt
from guestagent.rpc.envelope import Envelope, for_instance
from tests.unit.rpc.conftest import GUEST_ID, PATIENCE, ControlPlane

KEY = "0123456789abcdef0123456789abcdef"
PASSWORD = "correct horse battery staple"
NOTIFICATION = {"notification_classname": "trove.common.notification.DBaaSDatabaseCreate", "server_type": "guest"}
CONTEXT = {"request_id": "req-7", "user": "u", "trove_notification": NOTIFICATION}


@dataclasses.dataclass
class Incoming:
    """A message as oslo.messaging hands it over; a cast has an id, too, and no queue for replies."""

    message: dict[str, Any]
    ctxt: dict[str, Any]
    reply_q: str | None
    unique_id: str | None
    msg_id: str = "made up for casts"


class Notebook(BaseDatastoreManager):
    """Supports a few calls and writes down what it was asked."""

    def __init__(self, guest: Guest) -> None:
        super().__init__(guest)
        self.done: list[tuple[str, Any]] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.running = threading.Event()

    def prepare(self, context: RequestContext, **arguments: Any) -> None:  # type: ignore[override]
        self.done.append(("prepare", arguments))
        self.guest.record.change(phase=Phase.READY)

    def create_database(self, context: RequestContext, databases: list[Database]) -> None:
        self.running.set()
        assert self.may_go_on.wait(PATIENCE)
        self.done.append(("create_database", databases))
        if databases[0].name == "exists":
            raise errors.AlreadyExists(subject="Database 'exists'")
        if databases[0].name == "mistake":
            raise KeyError(PASSWORD)

    def change_passwords(self, context: RequestContext, users: list[PasswordChange]) -> None:
        self.done.append(("change_passwords", users))

    def upgrade(self, context: RequestContext, upgrade_info: dict[str, Any]) -> None:
        self.done.append(("upgrade", upgrade_info))
        if upgrade_info.get("fails"):
            raise errors.DatastoreError(subject="The upgrade", problem="no")

    def list_databases(
        self,
        context: RequestContext,
        limit: int | None = None,
        marker: str | None = None,
        include_marker: bool = False,
    ) -> tuple[list[Database], str | None]:
        self.done.append(("list_databases", (limit, marker, include_marker)))
        return [Database("shop", "utf8mb4")], "shop"

    def enable_root_with_password(self, context: RequestContext, root_password: str | None = None) -> User:
        raise ValueError(f"the server does not like {root_password}")

    def disable_root(self, context: RequestContext) -> None:
        raise PermissionError(13, "Permission denied", "/etc/secret-place")

    def ssl_show(self, context: RequestContext) -> dict[str, Any]:
        raise UnicodeDecodeError("utf-8", b"\xff\xfe", 0, 1, "invalid start byte")

    def get_replica_context(self, context: RequestContext) -> dict[str, Any]:
        return {"at": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), "raw": b"\xff", "users": [User("ada")]}

    def get_last_txn(self, context: RequestContext) -> tuple[str, int]:
        return object()  # type: ignore[return-value]

    def get_latest_txn_id(self, context: RequestContext) -> str:
        return {(1, 2): "keys that JSON does not know"}  # type: ignore[return-value]

    def nobody_declared_this(self, context: RequestContext) -> str:
        self.done.append(("nobody_declared_this", ()))
        return "reached"


class Wire:
    """Sends messages to the dispatcher."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def call(self, method: Any, arguments: Any = None, **message: Any) -> Any:
        """Send a call; what comes back raised is the error that would travel."""
        return self._send("reply_1", method, arguments, message)

    def cast(self, method: Any, arguments: Any = None, **message: Any) -> Any:
        return self._send(None, method, arguments, message)

    def _send(self, reply_q: str | None, method: Any, arguments: Any, message: dict[str, Any]) -> Any:
        context = message.pop("context", CONTEXT)
        unique_id = message.pop("unique_id", uuid.uuid4().hex)
        body = {"method": method, "args": {} if arguments is None else arguments, **message}
        try:
            return self._dispatcher.dispatch(Incoming(body, context, reply_q, unique_id))
        except oslo_messaging.ExpectedException as wrapped:
            _, refused, trace = wrapped.exc_info
        assert trace is None, "a traceback would travel"
        assert refused.__context__ is None
        raise refused


@pytest.fixture
def manager(guest: Guest) -> Notebook:
    made = Notebook(guest)
    guest.record.change(phase=Phase.READY)
    return made


@pytest.fixture
def envelope() -> Envelope:
    return for_instance(None, GUEST_ID)


@pytest.fixture
def make_dispatcher(
    envelope: Envelope, operations: OperationQueue, journal: Journal, conductor: Conductor
) -> Callable[[BaseDatastoreManager], Dispatcher]:
    """One that answers for a manager."""
    return lambda manager: Dispatcher(manager, envelope, operations, journal, conductor)


@pytest.fixture
def wire(manager: Notebook, make_dispatcher: Callable[[BaseDatastoreManager], Dispatcher]) -> Wire:
    return Wire(make_dispatcher(manager))


def wait_until_idle(operations: OperationQueue) -> None:
    """Return when every operation that was accepted has ended."""
    operations.drain()


class TestWhichCall:
    def test_a_call_is_answered(self, wire: Wire) -> None:
        assert wire.call("rpc_ping") is True

    def test_arguments_and_results_travel_in_the_contracts_form(self, wire: Wire, manager: Notebook) -> None:
        answer = wire.call("list_databases", {"limit": 1, "marker": "é", "include_marker": True})

        assert manager.done == [("list_databases", (1, "é", True))]
        assert json.loads(json.dumps(answer)) == [
            [{"_name": "shop", "_character_set": "utf8mb4", "_collate": None}],
            "shop",
        ]

    @pytest.mark.parametrize(
        "name",
        [
            "nosuch",
            "",
            "_private",
            "__init__",
            "__class__",
            "__del__",
            "_check_phase",
            "dispatch",
            "guest",
            "datastore_name",
            "service_status",
            "ensure_running",
            "nobody_declared_this",
            "RPC_PING",
            "rpc_ping ",
            "rpc_ping\0",
            "list_databases.__globals__",
        ],
    )
    def test_what_the_contract_does_not_name_does_not_exist(self, wire: Wire, manager: Notebook, name: str) -> None:
        with pytest.raises(errors.UnknownCall):
            wire.call(name)
        assert manager.done == []

    @pytest.mark.parametrize("name", [None, 7, 1.5, True, ["rpc_ping"], {"rpc_ping": 1}])
    def test_a_name_is_text(self, wire: Wire, name: Any) -> None:
        with pytest.raises(errors.InvalidMessage):
            wire.call(name)

    @pytest.mark.parametrize("namespace", [None, "", TROVE])
    def test_no_namespace_is_the_control_planes(self, wire: Wire, namespace: str | None) -> None:
        assert wire.call("rpc_ping", namespace=namespace) is True

    @pytest.mark.parametrize("namespace", ["baseapi", "guestagent.", "Guestagent", "*", "\0"])
    def test_other_namespaces_do_not_exist(self, wire: Wire, namespace: str) -> None:
        with pytest.raises(errors.UnknownCall):
            wire.call("rpc_ping", namespace=namespace)

    @pytest.mark.parametrize("namespace", [7, ["guestagent"], {"a": 1}, True])
    def test_a_namespace_is_text(self, wire: Wire, namespace: Any) -> None:
        with pytest.raises(errors.GuestAgentError):
            wire.call("rpc_ping", namespace=namespace)

    def test_the_projects_own_calls_are_only_in_its_namespace(self, wire: Wire) -> None:
        with pytest.raises(errors.UnknownCall):
            wire.call("describe")
        assert wire.call("get_hwinfo", namespace=OWN).keys() == wire.call("get_hwinfo").keys()
        with pytest.raises(errors.UnknownCall):
            wire.call("list_databases", namespace=OWN)

    @pytest.mark.parametrize("version", ["1.0", "1.1", "1.2", "1.3", None, ""])
    def test_versions_that_are_spoken(self, wire: Wire, version: str | None) -> None:
        assert wire.call("rpc_ping", version=version) is True

    @pytest.mark.parametrize("version", ["1.4", "1.10", "2.0", "0.9", "1.99999999999999999999"])
    def test_versions_that_are_not(self, wire: Wire, version: str) -> None:
        with pytest.raises(errors.UnsupportedVersion, match=r"version 1\.3"):
            wire.call("rpc_ping", version=version)

    @pytest.mark.parametrize(
        "version", ["1", "1.x", "1.2.3", "latest", ".", "9" * 5000 + ".1", 1.0, 1, ["1.0"], {"a": 1}, True]
    )
    def test_versions_that_are_none(self, wire: Wire, version: Any) -> None:
        with pytest.raises(errors.InvalidMessage):
            wire.call("rpc_ping", version=version)

    def test_the_own_namespace_counts_its_own_versions(self, wire: Wire) -> None:
        with pytest.raises(errors.UnsupportedVersion):
            wire.call("get_hwinfo", namespace=OWN, version="1.1")

    @pytest.mark.parametrize("name", ["nosuch\nFORGED LINE", "n" * 10_000_000, "\x1b[2Jnosuch"])
    def test_a_hostile_name_makes_one_short_line(self, wire: Wire, caplog: pytest.LogCaptureFixture, name: str) -> None:
        with caplog.at_level(logging.INFO), pytest.raises(errors.UnknownCall) as caught:
            wire.call(name)

        for text in [str(caught.value), *(record.getMessage() for record in caplog.records)]:
            assert len(text) < 1100
            assert text.isprintable()

    def test_a_hostile_request_id_makes_one_short_line(self, wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO), pytest.raises(errors.InternalError) as caught:
            wire.call("ssl_show", context={"request_id": "r\nFORGED" + "x" * 100_000})

        for text in [str(caught.value), *(record.getMessage() for record in caplog.records)]:
            assert len(text) < 1100
            assert text.isprintable()


class TestArguments:
    @pytest.mark.parametrize(
        ("method", "arguments"),
        [
            ("list_databases", {"zz": 1}),
            ("list_databases", {"limit": "20"}),
            ("list_databases", {"limit": 1.5}),
            ("list_databases", {"limit": [1]}),
            ("list_databases", {"marker": 7}),
            ("list_databases", {"include_marker": "true"}),
            ("list_databases", {"include_marker": 1}),
            ("list_databases", {"context": {}}),
            ("list_databases", {"self": 1}),
            ("rpc_ping", {"context": None}),
            ("create_database", {}),
            ("create_database", {"databases": None}),
            ("create_database", {"databases": "shop"}),
            ("create_database", {"databases": {"_name": "shop"}}),
            ("create_database", {"databases": ["shop"]}),
            ("create_database", {"databases": [{}]}),
            ("create_database", {"databases": [{"_name": None}]}),
            ("create_database", {"databases": [{"_name": 7}]}),
            ("create_database", {"databases": [{"_name": ["x"]}]}),
            ("change_passwords", {"users": [{"name": "ada"}]}),
            ("change_passwords", {"users": [{"name": "ada", "password": 7}]}),
            ("change_passwords", {"users": [{"_name": "ada", "_password": "x"}]}),
        ],
    )
    def test_missing_unknown_and_ill_typed_ones_are_refused(
        self, wire: Wire, manager: Notebook, method: str, arguments: dict[str, Any]
    ) -> None:
        with pytest.raises(errors.InvalidArguments, match=method):
            wire.call(method, arguments)
        assert manager.done == []

    @pytest.mark.parametrize("arguments", [["a"], "a", 7, [["limit", 1]]])
    def test_arguments_are_a_mapping(self, wire: Wire, manager: Notebook, arguments: Any) -> None:
        with pytest.raises(errors.InvalidMessage):
            wire.call("list_databases", arguments)
        assert manager.done == []

    def test_a_refusal_never_repeats_a_value(self, wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.DEBUG), pytest.raises(errors.InvalidArguments) as caught:
            wire.call("change_passwords", {"users": [{"name": ["ada"], "password": PASSWORD}]})
        assert PASSWORD not in str(caught.value) + caplog.text

    def test_a_hostile_argument_name_makes_one_short_line(self, wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO), pytest.raises(errors.InvalidArguments) as caught:
            wire.call("list_databases", {"x\nFORGED" + "y" * 1_000_000: 1})

        for text in [str(caught.value), *(record.getMessage() for record in caplog.records)]:
            assert len(text) < 1100
            assert text.isprintable()

    def test_what_an_argument_holds_may_grow_in_newer_control_planes(self, wire: Wire, manager: Notebook) -> None:
        wire.cast("create_database", {"databases": [{"_name": "shop", "_new_in_trove_30": True}]})

    def test_both_forms_of_prepare_are_understood(
        self, wire: Wire, manager: Notebook, operations: OperationQueue
    ) -> None:
        arguments: dict[str, Any] = {"packages": "", "databases": None, "memory_mb": 512, "users": []}
        wire.cast("prepare", arguments)
        wire.cast("prepare", {**arguments, "packages": ["a"], "ds_version": "10.11"}, version="1.1")
        wait_until_idle(operations)

        assert [(values["packages"], values["ds_version"]) for _, values in manager.done] == [
            ("", None),
            (["a"], "10.11"),
        ]


class TestSupport:
    @pytest.mark.parametrize("name", ["list_users", "restart", "ssl_action", "get_filesystem_stats"])
    def test_what_the_plugin_does_not_override_is_refused(self, wire: Wire, name: str) -> None:
        with pytest.raises(errors.NotSupported):
            wire.call(name)

    def test_the_refusal_is_one_sentence_with_operation_and_datastore(self, wire: Wire) -> None:
        with pytest.raises(errors.NotSupported) as caught:
            wire.call("list_users")
        text = str(caught.value)
        assert "'list_users'" in text
        assert "'sleeper'" in text
        assert "\n" not in text

    def test_every_call_of_the_contract_is_refused_by_a_manager_that_overrides_nothing(
        self, guest: Guest, make_dispatcher: Callable[[BaseDatastoreManager], Dispatcher]
    ) -> None:
        wire = Wire(make_dispatcher(BaseDatastoreManager(guest)))
        runtimes_own = {"rpc_ping", "describe", "get_status", "get_hwinfo", "get_diagnostics", "convert_engine"}
        runtimes_own |= {"operation_list", "operation_show", "operation_cancel"}
        for call in contract.CALLS:
            if call.name not in runtimes_own:
                namespace = call.namespaces[0]
                version = "1.3" if namespace == TROVE else "1.0"
                with pytest.raises(errors.NotSupported, match=f"'{call.name}'"):
                    wire.call(call.name, _some_arguments(call), namespace=namespace, version=version)

    def test_before_prepare_there_is_no_database_to_ask(self, wire: Wire, manager: Notebook) -> None:
        manager.guest.record.change(phase=Phase.NEW)
        with pytest.raises(errors.NotPrepared, match="'new'"):
            wire.call("list_databases")
        assert manager.done == []
        assert wire.call("rpc_ping") is True
        assert wire.call("get_hwinfo")

    @pytest.mark.parametrize("phase", [Phase.PREPARING, Phase.FAILED])
    def test_nor_while_it_runs_or_after_it_failed(self, wire: Wire, manager: Notebook, phase: Phase) -> None:
        manager.guest.record.change(phase=phase)
        with pytest.raises(errors.NotPrepared, match=f"'{phase.value}'"):
            wire.call("list_databases")

    def test_not_supported_is_said_before_not_prepared(self, wire: Wire, manager: Notebook) -> None:
        manager.guest.record.change(phase=Phase.NEW)
        with pytest.raises(errors.NotSupported):
            wire.call("list_users")

    def test_a_cast_that_waits_behind_prepare_finds_it_done(
        self, wire: Wire, manager: Notebook, operations: OperationQueue
    ) -> None:
        manager.guest.record.change(phase=Phase.NEW)
        wire.cast("prepare", {"packages": "", "databases": None, "memory_mb": 512, "users": None})
        wire.cast("create_database", {"databases": [{"_name": "shop"}]})
        wait_until_idle(operations)
        assert [name for name, _ in manager.done] == ["prepare", "create_database"]


def _some_arguments(call: contract.Call) -> dict[str, Any]:
    """The least that a call accepts."""
    return {field.name: _some(field.type) for field in msgspec.structs.fields(call.arguments) if field.required}


def _some(annotation: Any) -> Any:
    structure = {"_name": "x", "name": "x", "password": "x", "module": {"id": "1", "name": "x", "type": "ping"}}
    samples: list[Any] = [None, "x", 1, True, [], {}, structure]
    for value in samples:
        try:
            msgspec.convert(value, annotation)
        except msgspec.ValidationError:
            continue
        return value
    raise AssertionError(f"no sample fits {annotation}")


class TestFailures:
    def test_a_mistake_of_the_plugins_is_told_without_its_text(
        self, wire: Wire, caplog: pytest.LogCaptureFixture
    ) -> None:
        with pytest.raises(errors.InternalError) as caught:
            wire.call("enable_root_with_password", {"root_password": PASSWORD})

        error = caught.value
        assert "'enable_root_with_password'" in str(error)
        assert "ValueError" in str(error)
        assert "req-7" in str(error)
        assert PASSWORD not in str(error) + repr(error.args) + repr(error.facts)
        assert error.__cause__ is None

    def test_what_the_system_refused_is_told_in_its_words(self, wire: Wire) -> None:
        with pytest.raises(errors.SystemFailure, match="Permission denied"):
            wire.call("disable_root")

    @pytest.mark.parametrize("method", ["ssl_show", "get_last_txn", "get_latest_txn_id"])
    def test_whatever_happens_the_answer_can_be_sent(self, wire: Wire, method: str) -> None:
        with pytest.raises(errors.GuestAgentError) as caught:
            wire.call(method)
        assert json.loads(json.dumps({"args": caught.value.args, "text": str(caught.value)}))["args"]

    def test_results_of_any_plain_type_can_be_sent(self, wire: Wire) -> None:
        answer = json.loads(json.dumps(wire.call("get_replica_context")))
        assert answer["at"].startswith("2026-01-02")
        assert base64.b64decode(answer["raw"]) == b"\xff"
        assert answer["users"][0]["_name"] == "ada"


class TestCasts:
    def test_its_good_end_is_told_with_the_requests_own_notification(
        self, wire: Wire, control_plane: ControlPlane
    ) -> None:
        assert wire.cast("create_database", {"databases": [{"_name": "shop"}]}) is None

        report = control_plane.next()
        assert report.method == "notify_end"
        assert report.arguments["notification_args"] == {}
        assert report.arguments["serialized_notification"].items() >= NOTIFICATION.items()
        assert report.context["request_id"] == "req-7"

    @pytest.mark.parametrize(
        ("arguments", "part"),
        [
            ({"databases": [{"_name": "exists"}]}, "exists already"),
            ({"databases": [{"_name": "mistake"}]}, "KeyError"),
            ({"databases": [{}]}, "not valid"),
            ({"zz": 1}, "not valid"),
        ],
        ids=["refused by the database", "mistake of the plugin's", "ill-typed", "unknown argument"],
    )
    def test_its_bad_end_is_told(
        self, wire: Wire, control_plane: ControlPlane, arguments: dict[str, Any], part: str
    ) -> None:
        with contextlib.suppress(errors.InvalidArguments):
            wire.cast("create_database", arguments)

        report = control_plane.next()
        assert report.method == "notify_exc_info"
        notification = report.arguments["serialized_notification"]
        assert notification == {**NOTIFICATION, "instance_id": GUEST_ID}
        assert part in report.arguments["message"]
        assert isinstance(report.arguments["exception"], list)
        assert PASSWORD not in repr(report)

    def test_a_cast_that_is_not_supported_is_told_too(self, wire: Wire, control_plane: ControlPlane) -> None:
        wire.cast("create_backup", {"backup_info": {"id": "b"}})
        failed(control_plane, "b")
        report = control_plane.next()
        assert report.method == "notify_exc_info"
        assert "not supported" in report.arguments["message"]

    def test_a_request_without_a_notification_ends_silently(
        self, wire: Wire, manager: Notebook, control_plane: ControlPlane, conductor: Conductor
    ) -> None:
        wire.cast("create_database", {"databases": [{"_name": "a"}]}, context={"request_id": "req-8"})
        wire.cast("create_database", {"databases": [{"_name": "b"}]})

        assert control_plane.next().context["request_id"] == "req-7"
        assert len(manager.done) == 2

    @pytest.mark.parametrize("info", [{}, {"fails": True}])
    def test_a_call_that_nobody_waits_for_by_notification_ends_silently(
        self, wire: Wire, control_plane: ControlPlane, info: dict[str, Any]
    ) -> None:
        wire.cast("upgrade", {"upgrade_info": info})
        wire.cast("create_database", {"databases": [{"_name": "b"}]})
        assert control_plane.next().method == "notify_end"
        assert control_plane.is_silent()

    def test_casts_are_done_in_their_order(self, wire: Wire, manager: Notebook, operations: OperationQueue) -> None:
        manager.may_go_on.clear()
        for number in range(50):
            wire.cast("create_database", {"databases": [{"_name": str(number)}]})
        manager.may_go_on.set()
        wait_until_idle(operations)
        assert [databases[0].name for _, databases in manager.done] == [str(number) for number in range(50)]

    def test_one_that_fails_does_not_stop_the_next(
        self, wire: Wire, manager: Notebook, operations: OperationQueue
    ) -> None:
        for name in ("mistake", "exists", "good"):
            wire.cast("create_database", {"databases": [{"_name": name}]})
        wait_until_idle(operations)
        assert [databases[0].name for _, databases in manager.done] == ["mistake", "exists", "good"]

    def test_a_read_that_nobody_waits_for_is_not_done(self, wire: Wire, manager: Notebook) -> None:
        assert wire.cast("list_databases") is None
        assert manager.done == []


class TestOneAtATime:
    @pytest.mark.parametrize("busy_wait", [0.2])
    def test_reads_go_on_beside_a_change_and_another_change_is_busy(self, wire: Wire, manager: Notebook) -> None:
        manager.may_go_on.clear()
        wire.cast("create_database", {"databases": [{"_name": "slow"}]})
        assert manager.running.wait(PATIENCE)

        assert wire.call("list_databases")
        with pytest.raises(errors.Busy, match=r"'create_database' \(request req-7, running for \d+ s\)"):
            wire.call("change_passwords", {"users": []})

        manager.may_go_on.set()
        assert ("change_passwords", []) not in manager.done

    def test_after_the_change_another_one_is_done(self, wire: Wire, manager: Notebook) -> None:
        wire.cast("create_database", {"databases": [{"_name": "quick"}]})
        wire.call("change_passwords", {"users": []})
        assert manager.done[-1] == ("change_passwords", [])

    def test_a_leaving_agent_says_so(self, wire: Wire, operations: OperationQueue, control_plane: ControlPlane) -> None:
        operations.drain()
        with pytest.raises(errors.Leaving):
            wire.call("change_passwords", {"users": []})
        with pytest.raises(errors.Leaving):
            wire.cast("create_database", {"databases": [{"_name": "late"}]})
        assert control_plane.next().method == "notify_exc_info"


class TestEncrypted:
    @pytest.fixture
    def envelope(self) -> Envelope:
        return for_instance(KEY, GUEST_ID)

    def test_requests_are_opened_and_results_sealed(self, wire: Wire, envelope: Envelope) -> None:
        context, arguments = envelope.seal_request(CONTEXT, {"limit": 3})
        answer = wire.call("list_databases", arguments, context=context)
        assert isinstance(answer, str)
        assert envelope.open_result(answer)[1] == "shop"

    def test_null_is_sealed_too(self, wire: Wire, envelope: Envelope) -> None:
        context, arguments = envelope.seal_request(CONTEXT, {"users": []})
        answer = wire.call("change_passwords", arguments, context=context)
        assert isinstance(answer, str)
        assert envelope.open_result(answer) is None

    def test_a_plain_request_is_refused_and_nothing_is_done(self, wire: Wire, manager: Notebook) -> None:
        with pytest.raises(errors.InvalidMessage):
            wire.call("list_databases", {"limit": 3})
        with pytest.raises(errors.InvalidMessage):
            wire.call("rpc_ping")
        with pytest.raises(errors.InvalidMessage):
            wire.cast("create_database", {"databases": [{"_name": "x"}]})
        assert manager.done == []

    def test_one_plain_argument_is_enough_to_be_refused(
        self, wire: Wire, manager: Notebook, envelope: Envelope
    ) -> None:
        context, arguments = envelope.seal_request(CONTEXT, {"limit": 3, "marker": "a"})
        with pytest.raises(errors.InvalidMessage):
            wire.call("list_databases", {**arguments, "marker": "a"}, context=context)
        assert manager.done == []


class Saving(Notebook):
    """Makes backups, of which some fail."""

    def create_backup(self, context: RequestContext, backup_info: dict[str, Any]) -> None:
        self.done.append(("create_backup", backup_info["id"]))
        if backup_info.get("fails"):
            raise errors.StorageError(subject="The backup", problem="no")

    def ensure_running(self) -> None:
        self.done.append(("ensure_running", None))


MakeDispatcher = Callable[[BaseDatastoreManager], Dispatcher]


def failed(control_plane: ControlPlane, backup_id: str) -> None:
    """The control plane is told that a backup has failed, and that one only."""
    report = control_plane.next()
    assert (report.method, report.arguments["backup_id"]) == ("update_backup", backup_id)
    assert report.arguments["state"] == "FAILED"


class TestOnceAndNotAgain:
    @pytest.fixture
    def manager(self, guest: Guest) -> Saving:
        guest.record.change(phase=Phase.READY)
        return Saving(guest)

    def test_a_message_that_the_broker_delivers_again_is_done_once(
        self, wire: Wire, manager: Saving, operations: OperationQueue, caplog: pytest.LogCaptureFixture
    ) -> None:
        for _ in range(3):
            wire.cast("create_database", {"databases": [{"_name": "a"}]}, unique_id="m1")
        wire.cast("create_database", {"databases": [{"_name": "b"}]}, unique_id="m2")
        wait_until_idle(operations)
        assert [databases[0].name for _, databases in manager.done] == ["a", "b"]
        warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert len(warnings) == 2
        assert all(text.startswith("'create_database' (request req-7) is operation ") for text in warnings)

    def test_and_told_once(self, wire: Wire, operations: OperationQueue, control_plane: ControlPlane) -> None:
        for _ in range(3):
            wire.cast("create_database", {"databases": [{"_name": "a"}]}, unique_id="m1")
        wait_until_idle(operations)
        wire.cast("list_users", unique_id="m2")
        assert control_plane.next().method == "notify_end"
        assert control_plane.is_silent()

    def test_so_is_a_call(self, wire: Wire, manager: Saving) -> None:
        wire.call("change_passwords", {"users": []}, unique_id="m1")
        with pytest.raises(errors.GuestAgentError, match="is not done twice"):
            wire.call("change_passwords", {"users": []}, unique_id="m1")
        assert manager.done == [("change_passwords", [])]

    def test_messages_that_nobody_named_are_all_done(
        self, wire: Wire, manager: Saving, operations: OperationQueue
    ) -> None:
        for _ in range(3):
            wire.cast("create_database", {"databases": [{"_name": "a"}]}, unique_id=None)
        wait_until_idle(operations)
        assert len(manager.done) == 3

    @pytest.mark.parametrize(
        "name", ["\ud800", ["m"], {"a": 1}, 2**70], ids=["no unicode", "list", "mapping", "number"]
    )
    def test_a_name_that_is_none_harms_nobody(
        self, wire: Wire, manager: Saving, operations: OperationQueue, name: Any
    ) -> None:
        with contextlib.suppress(errors.SystemFailure):
            wire.cast("create_database", {"databases": [{"_name": "a"}]}, unique_id=name)
        wire.cast("create_database", {"databases": [{"_name": "b"}]})
        wait_until_idle(operations)
        assert manager.done[-1][1][0].name == "b"

    def test_a_backup_is_made_once(
        self, wire: Wire, manager: Saving, operations: OperationQueue, caplog: pytest.LogCaptureFixture
    ) -> None:
        for _ in range(2):
            wire.cast("create_backup", {"backup_info": {"id": "b1"}})
        wire.cast("create_backup", {"backup_info": {"id": "b2"}})
        wait_until_idle(operations)
        assert manager.done == [("create_backup", "b1"), ("create_backup", "b2")]
        assert "is not done twice" in caplog.text

    def test_unless_it_failed(self, wire: Wire, manager: Saving, control_plane: ControlPlane) -> None:
        wire.cast("create_backup", {"backup_info": {"id": "b1", "fails": True}})
        failed(control_plane, "b1")
        assert control_plane.next().method == "notify_exc_info"
        wire.cast("create_backup", {"backup_info": {"id": "b1"}})
        assert control_plane.next().method == "notify_end"
        assert manager.done == [("create_backup", "b1")] * 2

    def test_what_cannot_be_written_down_is_refused_and_told(
        self, wire: Wire, manager: Saving, control_plane: ControlPlane, caplog: pytest.LogCaptureFixture
    ) -> None:
        password = f"{PASSWORD} \ud800"
        arguments = {"users": [{"name": "ada", "password": password}]}
        with pytest.raises(errors.InvalidValue, match="cannot be written down"):
            wire.call("change_passwords", arguments)
        with pytest.raises(errors.InvalidValue):
            wire.cast("create_backup", {"backup_info": {"id": "b1", "x": password}})
        failed(control_plane, "b1")
        report = control_plane.next()
        assert report.method == "notify_exc_info"
        assert PASSWORD not in repr(report) + caplog.text
        assert manager.done == []


class TestOnTheMachine:
    """Calls that somebody makes on the machine, past the broker."""

    @pytest.fixture
    def dispatcher(self, manager: Notebook, make_dispatcher: MakeDispatcher) -> Dispatcher:
        return make_dispatcher(manager)

    def test_the_projects_own_are_answered(self, dispatcher: Dispatcher, wire: Wire) -> None:
        wire.cast("create_database", {"databases": [{"_name": "a"}]})
        [listed] = dispatcher.answer_local("operation_list", {"limit": 5})
        assert (listed["call"], listed["request_id"]) == ("create_database", "req-7")
        assert dispatcher.answer_local("operation_show", {"operation_id": listed["id"]})["id"] == listed["id"]

    def test_a_change_waits_for_its_turn_and_is_in_the_journal(
        self, dispatcher: Dispatcher, manager: Notebook, journal: Journal
    ) -> None:
        answer = dispatcher.answer_local("convert_engine", {})
        assert answer == {"before": "legacy", "after": "convergence"}
        assert manager.guest.record.current.code_path is CodePath.CONVERGENCE
        assert [(one.call, one.state) for one in journal.list(5)] == [("convert_engine", "done")]
        assert list(journal.unfinished()) == [], "nobody else has to be told"

    @pytest.mark.parametrize("busy_wait", [0.2])
    def test_it_is_refused_while_another_has_the_guest(
        self, dispatcher: Dispatcher, wire: Wire, manager: Notebook
    ) -> None:
        manager.may_go_on.clear()
        wire.cast("create_database", {"databases": [{"_name": "slow"}]})
        assert manager.running.wait(PATIENCE)
        with pytest.raises(errors.Busy, match="'create_database'"):
            dispatcher.answer_local("convert_engine", {})
        manager.may_go_on.set()

    def test_an_operation_can_be_cancelled_there(
        self, dispatcher: Dispatcher, wire: Wire, manager: Notebook, control_plane: ControlPlane
    ) -> None:
        manager.may_go_on.clear()
        wire.cast("create_database", {"databases": [{"_name": "slow"}]})
        assert manager.running.wait(PATIENCE)
        wire.cast("create_database", {"databases": [{"_name": "waits"}]})
        waiting = dispatcher.answer_local("operation_list", {})[0]
        assert waiting["cancellable"]
        answer = dispatcher.answer_local("operation_cancel", {"operation_id": waiting["id"]})
        assert answer["state"] == "cancelled"
        assert "was cancelled before it began" in control_plane.next().arguments["message"]
        manager.may_go_on.set()

    @pytest.mark.parametrize("name", ["list_databases", "create_database", "prepare", "rpc_ping", "nosuch", "__init__"])
    def test_no_other_call_exists(self, dispatcher: Dispatcher, manager: Notebook, name: str) -> None:
        with pytest.raises(errors.UnknownCall):
            dispatcher.answer_local(name, {})
        assert manager.done == []

    @pytest.mark.parametrize("arguments", [{"zz": 1}, {"limit": "5"}, {"context": {}}])
    def test_arguments_are_checked(self, dispatcher: Dispatcher, arguments: dict[str, Any]) -> None:
        with pytest.raises(errors.InvalidArguments):
            dispatcher.answer_local("operation_list", arguments)


class Deaf(Conductor):
    """The way to the conductor is down."""

    def _send(self, report: Any) -> None:
        raise OSError("no way")


class Dead(OperationQueue):
    """The queue of an agent that dies before it does anything."""

    def _submit(self, operation: Operation) -> "Future[Any]":
        return Future()


class TestAnEarlierAgent:
    @pytest.fixture
    def path(self) -> list[CodePath]:
        """The instance's code path, which can change."""
        return [CodePath.CONVERGENCE]

    @pytest.fixture
    def operations(self, journal: Journal, path: list[CodePath]) -> Iterator[OperationQueue]:
        """The later agent's."""
        made = OperationQueue(lambda: 0.2, journal, lambda: path[0])
        yield made
        made.drain()

    @pytest.fixture
    def manager(self, guest: Guest) -> Saving:
        guest.record.change(phase=Phase.READY)
        return Saving(guest)

    @pytest.fixture
    def later(
        self, manager: Saving, make_dispatcher: MakeDispatcher, operations: OperationQueue, journal: Journal
    ) -> Callable[[], None]:
        """The next agent takes up what was left."""

        def take_up() -> None:
            dispatcher = make_dispatcher(manager)
            Recovery(manager.guest.record, journal, operations, dispatcher.revive, dispatcher.tell).take_up()
            operations.drain()

        return take_up

    @pytest.fixture
    def dying(
        self, manager: Saving, envelope: Envelope, journal: Journal, conductor: Conductor, path: list[CodePath]
    ) -> Wire:
        """An agent that dies when it has accepted something."""
        dead = Dead(journal=journal, code_path=lambda: path[0])
        return Wire(Dispatcher(manager, envelope, dead, journal, conductor))

    @pytest.mark.parametrize(
        ("name", "method", "part"), [("a", "notify_end", ""), ("exists", "notify_exc_info", "exists already")]
    )
    def test_an_end_that_it_could_not_tell_is_told(
        self,
        manager: Saving,
        envelope: Envelope,
        journal: Journal,
        transport: oslo_messaging.Transport,
        later: Callable[[], None],
        control_plane: ControlPlane,
        name: str,
        method: str,
        part: str,
    ) -> None:
        deaf = Deaf(transport, "trove-conductor", GUEST_ID, envelope)
        earlier = OperationQueue(journal=journal)
        wire = Wire(Dispatcher(manager, envelope, earlier, journal, deaf))
        wire.cast("create_database", {"databases": [{"_name": name}]})
        earlier.drain()
        assert deaf.flush(PATIENCE)
        assert len(list(journal.unfinished())) == 1

        later()
        report = control_plane.next()
        assert report.method == method
        assert report.context["request_id"] == "req-7"
        assert report.arguments["serialized_notification"].items() >= NOTIFICATION.items()
        assert part in report.arguments.get("message", "")
        assert len(manager.done) == 1, "it is not done again"
        eventually(lambda: not list(journal.unfinished()))

    def test_what_it_accepted_is_done_and_told(
        self, dying: Wire, manager: Saving, later: Callable[[], None], control_plane: ControlPlane, journal: Journal
    ) -> None:
        dying.cast("create_database", {"databases": [{"_name": "a"}]})
        dying.cast("create_backup", {"backup_info": {"id": "b1"}})
        assert manager.done == []

        later()
        # The machine may have rebooted since, and these need the server.
        names = [name for name, _ in manager.done]
        assert names == ["ensure_running", "create_database", "ensure_running", "create_backup"]
        assert manager.done[1] == ("create_database", [Database("a")])
        assert [control_plane.next().method for _ in range(2)] == ["notify_end", "notify_end"]
        eventually(lambda: not list(journal.unfinished()))

    def test_calls_that_start_the_server_themselves_find_it_as_it_is(
        self, dying: Wire, manager: Saving, later: Callable[[], None]
    ) -> None:
        dying.cast("upgrade", {"upgrade_info": {}})
        later()
        assert manager.done == [("upgrade", {})]

    def test_on_the_other_code_path_it_is_told_that_it_was_interrupted(
        self,
        dying: Wire,
        manager: Saving,
        later: Callable[[], None],
        control_plane: ControlPlane,
        path: list[CodePath],
    ) -> None:
        path[0] = CodePath.LEGACY
        dying.cast("create_database", {"databases": [{"_name": "a"}]})
        later()
        assert manager.done == []
        report = control_plane.next()
        assert report.method == "notify_exc_info"
        assert "The guest agent ended while it did 'create_database'" in report.arguments["message"]

    def test_a_backup_that_was_accepted_and_no_more_has_failed(
        self, dying: Wire, later: Callable[[], None], control_plane: ControlPlane, path: list[CodePath]
    ) -> None:
        path[0] = CodePath.LEGACY
        dying.cast("create_backup", {"backup_info": {"id": "b1"}})
        later()
        failed(control_plane, "b1")
        assert control_plane.next().method == "notify_exc_info"

    def test_a_message_that_comes_again_afterwards_is_known(
        self, dying: Wire, wire: Wire, manager: Saving, later: Callable[[], None], caplog: pytest.LogCaptureFixture
    ) -> None:
        dying.cast("create_database", {"databases": [{"_name": "a"}]}, unique_id="m1")
        wire.cast("create_database", {"databases": [{"_name": "a"}]}, unique_id="m1")
        later()
        assert [name for name, _ in manager.done] == ["ensure_running", "create_database"]
        assert "is not done twice" in caplog.text


def test_prompt_calls_are_known_without_being_opened() -> None:
    assert is_prompt({"method": "rpc_ping"})
    assert is_prompt({"method": "describe", "namespace": OWN})
    assert not is_prompt({"method": "describe"})
    assert not is_prompt({"method": "list_databases"})


@pytest.mark.parametrize(
    "message", [{}, {"method": None}, {"method": ["rpc_ping"]}, {"method": "rpc_ping", "namespace": {"a": 1}}]
)
def test_what_is_no_message_is_not_prompt(message: dict[str, Any]) -> None:
    assert not is_prompt(message)
