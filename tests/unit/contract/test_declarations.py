"""The contract as a document: what every declaration must say, and what the allow-list holds."""

import ast
import inspect
import subprocess
import sys
import typing
from pathlib import Path

import msgspec
import pytest

import guestagent.contract
from guestagent.contract import ALLOWED, CALLS, CAPABILITIES, Call
from guestagent.contract.call import OWN, TROVE, VERSIONS
from guestagent.contract.context import RequestContext

CONTRACT = Path(guestagent.contract.__file__).parent

SINCE_1_0 = {
    "apply_overrides", "attach_replica", "attach_replication_slave", "backup_required_for_replication",
    "change_passwords", "cleanup_source_on_replica_detach", "create_backup", "create_database", "create_user",
    "delete_database", "delete_user", "demote_replication_master", "detach_replica", "disable_root",
    "enable_as_master", "enable_root", "enable_root_with_password", "get_diagnostics", "get_filesystem_stats",
    "get_hwinfo", "get_last_txn", "get_latest_txn_id", "get_replica_context", "get_replication_snapshot",
    "get_root_password", "get_txn_count", "get_user", "grant_access", "guest_log_action", "guest_log_list",
    "is_root_enabled", "list_access", "list_databases", "list_users", "make_read_only", "module_apply",
    "module_list", "module_remove", "mount_volume", "post_upgrade", "pre_upgrade", "prepare", "rebuild",
    "reset_configuration", "resize_fs", "restart", "revoke_access", "rpc_ping", "start_db_with_conf_changes",
    "stop_db", "unmount_volume", "update_attributes", "update_guest", "update_overrides", "upgrade",
    "wait_for_txn",
}  # fmt: skip
SINCE_1_2 = {"pre_create_backup", "post_create_backup"}
SINCE_1_3 = {"ssl_show", "ssl_action", "ssl_rollback"}
"""What Trove 26's client (``trove.guestagent.api.API``) can call, by the version that introduced it."""

every_call = pytest.mark.parametrize("declaration", CALLS, ids=lambda declaration: declaration.name)


def sources() -> list[Path]:
    return sorted(CONTRACT.glob("**/*.py"))


@every_call
def test_every_call_is_documented(declaration: Call) -> None:
    first_line = declaration.documentation.partition("\n")[0]
    assert len(first_line.split()) >= 2
    # A sentence, or the shape of the answer.
    assert first_line.endswith((".", ":")), first_line


@every_call
def test_every_argument_has_a_type_and_the_context_comes_first(declaration: Call) -> None:
    parameters = inspect.signature(declaration.refusal).parameters
    hints = typing.get_type_hints(declaration.refusal)
    assert list(parameters)[:2] == ["self", "context"]
    assert hints["context"] is RequestContext
    assert set(hints) == {*parameters, "return"} - {"self"}
    assert all(parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for parameter in parameters.values()), (
        "a call takes no *args or **kwargs: the contract is the list of its arguments"
    )


@every_call
def test_every_declared_type_can_be_checked(declaration: Call) -> None:
    assert msgspec.json.schema(declaration.arguments)["$defs"][declaration.name]["type"] == "object"


@every_call
def test_every_declared_version_is_spoken(declaration: Call) -> None:
    major, minor = (int(part) for part in declaration.since.split("."))
    for namespace in declaration.namespaces:
        spoken = VERSIONS[namespace]
        assert major == spoken[0]
        assert minor <= spoken[1]


@every_call
def test_what_nobody_waits_for_returns_nothing(declaration: Call) -> None:
    if declaration.cast:
        assert typing.get_type_hints(declaration.refusal)["return"] is type(None)
        assert not declaration.reads
    if declaration.notifies:
        assert declaration.cast


@every_call
def test_reading_twice_is_reading_once(declaration: Call) -> None:
    if declaration.reads:
        assert declaration.repeatable


def test_the_allow_list_has_every_call_of_troves_client_and_no_other() -> None:
    ours = {declaration for (namespace, _), declaration in ALLOWED.items() if namespace == TROVE}
    for since, names in (("1.0", SINCE_1_0), ("1.2", SINCE_1_2), ("1.3", SINCE_1_3)):
        assert {declaration.name for declaration in ours if declaration.since == since} == names
    assert len(ours) == len(SINCE_1_0 | SINCE_1_2 | SINCE_1_3)


def test_our_own_calls_are_not_offered_where_the_control_planes_own_are() -> None:
    own = {name for namespace, name in ALLOWED if namespace == OWN}
    troves = {name for namespace, name in ALLOWED if namespace == TROVE}
    assert "describe" in own - troves
    assert {"get_hwinfo", "get_diagnostics"} <= own & troves


def test_the_allow_list_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        ALLOWED[TROVE, "anything"] = CALLS[0]  # type: ignore[index]


def test_names_are_declared_once() -> None:
    assert len({declaration.name for declaration in CALLS}) == len(CALLS)


def test_every_capability_has_something_that_makes_it_supported() -> None:
    capabilities = {capability.__name__.lower() for capability in CAPABILITIES}
    assert {declaration.capability for declaration in CALLS if declaration.required} == capabilities


def test_troves_casts_are_casts_here() -> None:
    # What the control plane's client sends with _cast; everything else waits for its answer.
    casts = {
        "prepare", "rebuild", "upgrade", "create_backup", "create_database", "delete_database", "create_user",
        "delete_user", "change_passwords", "update_attributes", "attach_replication_slave",
    }  # fmt: skip
    assert {declaration.name for declaration in CALLS if declaration.cast} == casts


def test_the_control_plane_is_notified_of_exactly_what_it_waits_for() -> None:
    waits_for = {
        "prepare", "create_database", "delete_database", "create_user", "delete_user", "change_passwords",
        "update_attributes", "create_backup",
    }  # fmt: skip
    assert {declaration.name for declaration in CALLS if declaration.notifies} == waits_for


@pytest.mark.parametrize("source", sources(), ids=lambda source: source.stem)
def test_the_contract_imports_nothing_else_of_the_project(source: Path) -> None:
    for node in ast.walk(ast.parse(source.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they lead"
            names = [node.module or ""]
        for name in names:
            if name.startswith("guestagent"):
                assert name.startswith("guestagent.contract"), f"{source.name} imports {name}"


def test_importing_the_contract_loads_nothing_else_of_the_project() -> None:
    code = "import sys, guestagent.contract; print(*(n for n in sys.modules if n.split('.')[0] == 'guestagent'))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "guestagent.contract.tls" in loaded
    assert [name for name in loaded if name != "guestagent" and not name.startswith("guestagent.contract")] == []
