"""Binding the arguments of a message, and what counts as supported."""

from typing import Any

import pytest

from guestagent.contract import ALLOWED, CALLS, Call, Capability
from guestagent.contract.call import TROVE, call, declared_by
from guestagent.contract.context import RequestContext
from guestagent.contract.databases import Database
from guestagent.contract.errors import InvalidArguments, NotSupported
from guestagent.contract.modules import Module, ModuleEnvelope
from guestagent.contract.users import PasswordChange, User
from guestagent.manager import BaseDatastoreManager

SECRET = "S3cr3t-pass"


def declared(name: str) -> Call:
    return ALLOWED[TROVE, name]


PREPARE = {"packages": "", "databases": [], "memory_mb": 512, "users": []}


def test_arguments_become_the_types_of_the_contract() -> None:
    arguments = {"users": [{"_name": "bob", "_host": "%", "_password": SECRET, "_databases": [{"_name": "db1"}]}]}
    assert declared("create_user").bind(arguments) == {
        "users": [User(name="bob", host="%", password=SECRET, databases=[Database(name="db1")])]
    }


def test_keys_travel_with_or_without_the_underscore_as_the_control_plane_sends_them() -> None:
    arguments = {"users": [{"name": "bob", "host": "%", "password": SECRET}]}
    assert declared("change_passwords").bind(arguments) == {"users": [PasswordChange("bob", SECRET, "%")]}


def test_what_is_left_out_has_its_default() -> None:
    bound = declared("prepare").bind(PREPARE)
    assert bound["ds_version"] is None
    assert bound["overrides"] is None
    assert set(bound) > set(PREPARE)


@pytest.mark.parametrize("packages", ["", "testdb-server", ["a", "b"], [], None])
def test_packages_come_in_all_their_forms(packages: object) -> None:
    assert declared("prepare").bind({**PREPARE, "packages": packages})["packages"] == packages


def test_keys_of_a_module_that_we_do_not_know_are_ignored() -> None:
    module = {"id": "1", "name": "m", "type": "ping", "live_update": False, "created": "2026-11-21T02:16:06"}
    bound = declared("module_apply").bind({"modules": [{"module": module}]})
    assert bound == {"modules": [ModuleEnvelope(Module(id="1", name="m", type="ping"))]}


@pytest.mark.parametrize("flag", [1, 0, True, False, None])
def test_flags_come_as_numbers_truth_values_or_nothing(flag: object) -> None:
    assert declared("guest_log_action").bind({"log_name": "general", "publish": flag})["publish"] == flag


def test_defaults_are_not_shared_between_messages() -> None:
    arguments = {"users": [{"_name": "bob"}]}
    first = declared("create_user").bind(arguments)["users"][0]
    first.databases.append(Database(name="db1"))
    assert declared("create_user").bind(arguments)["users"][0].databases == []


HOSTILE = [
    ("create_database", {}, "databases"),
    ("create_database", {"databases": None}, "databases"),
    ("create_database", {"databases": {"_name": "db1"}}, "databases"),
    ("create_database", {"databases": [{"name": "db1"}]}, "_name"),
    ("create_database", {"databases": [{"_name": 7}]}, "databases"),
    ("create_database", {"databases": [[]]}, "databases"),
    ("create_database", {"databases": [], "zz": 1}, "zz"),
    ("create_database", {"databases": [], "context": {}}, "context"),
    ("create_database", {"databases": [], "self": 1}, "self"),
    ("create_database", {"databases": [], "__class__": "x"}, "__class__"),
    ("create_database", {"databases": [], "": 1}, "unknown field"),
    ("list_databases", {"limit": "20"}, "limit"),
    ("list_databases", {"limit": 1.5}, "limit"),
    ("list_databases", {"limit": [20]}, "limit"),
    ("list_databases", {"include_marker": 1}, "include_marker"),
    ("list_users", {"marker": b"bob@%"}, "marker"),
    ("get_user", {"username": ["bob"]}, "username"),
    ("get_user", {"username": None}, "username"),
    ("make_read_only", {"read_only": "false"}, "read_only"),
    ("update_overrides", {"overrides": [["max_connections", 1]]}, "overrides"),
    ("guest_log_action", {"log_name": "general", "enable": "yes"}, "enable"),
    ("module_apply", {"modules": [{"id": "1", "name": "m", "type": "ping"}]}, "module"),
    ("ssl_action", {"container": {"certificate": "x"}}, "private_key"),
    ("ssl_action", {"container": "-----BEGIN PRIVATE KEY-----"}, "container"),
    ("rpc_ping", {"x": 1}, "x"),
]


@pytest.mark.parametrize(("name", "arguments", "place"), HOSTILE, ids=lambda value: str(value)[:40])
def test_arguments_that_do_not_fit_are_refused_with_their_place(name: str, arguments: Any, place: str) -> None:
    with pytest.raises(InvalidArguments) as refused:
        declared(name).bind(arguments)
    sentence = str(refused.value)
    assert f"'{name}'" in sentence
    assert place in sentence


@pytest.mark.parametrize("arguments", [None, [], "x", 7, [["databases", []]]])
def test_arguments_that_are_no_mapping_are_refused(arguments: Any) -> None:
    with pytest.raises(InvalidArguments):
        declared("create_database").bind(arguments)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("create_user", {"users": [{"_name": "bob", "_password": [SECRET]}]}),
        ("create_user", {"users": [{"_name": "bob", "_password": {SECRET: SECRET}}]}),
        ("change_passwords", {"users": [{"name": "bob", "password": {"text": SECRET}}]}),
        ("enable_root_with_password", {"root_password": [SECRET]}),
        ("ssl_action", {"container": {"private_key": [SECRET], "certificate": "x"}}),
        ("prepare", {**PREPARE, "root_password": {"x": SECRET}}),
        ("module_apply", {"modules": [{"module": {"id": "1", "name": "m", "type": "ping", "contents": [SECRET]}}]}),
    ],
)
def test_a_refusal_never_repeats_a_value(name: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArguments) as refused:
        declared(name).bind(arguments)
    assert SECRET not in str(refused.value)
    assert SECRET not in repr(refused.value.facts)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE x; --", "`id`", "a\0b", "a\nb", "ü" * 65, "\ud800", "../../etc/passwd", ""]
)
def test_strange_names_are_bound_as_they_are_and_left_to_the_plugin(text: str) -> None:
    assert declared("delete_database").bind({"database": {"_name": text}})["database"].name == text


def test_deeply_nested_values_are_passed_on() -> None:
    deep: dict[str, Any] = {}
    for _ in range(500):
        deep = {"x": deep}
    assert declared("update_overrides").bind({"overrides": deep})["overrides"] == deep


@pytest.mark.parametrize("declaration", CALLS, ids=lambda declaration: declaration.name)
def test_the_bound_arguments_fit_the_method(declaration: Call) -> None:
    with pytest.raises(InvalidArguments):
        declaration.bind({"no such argument": 1})
    accepted = dict.fromkeys(declaration.arguments.__struct_fields__)
    manager = BaseDatastoreManager.__new__(BaseDatastoreManager)
    with pytest.raises(NotSupported):
        declaration.refusal(manager, RequestContext(), **accepted)


class Greetings(Capability):
    """A capability of the tests' own."""

    @call(required=True)
    def greet(self, context: RequestContext, whom: str = "you") -> str:  # type: ignore[empty-body]
        """Greet somebody."""

    @call(cast=True)
    def wave(self, context: RequestContext) -> None:
        """Wave."""

    def helper(self) -> None:
        """Not a call."""


class Polite(Greetings):
    """Overrides one of the two calls."""

    def greet(self, context: RequestContext, whom: str = "you") -> str:
        return f"Hello {whom}"


class VeryPolite(Polite):
    """Inherits the call that it supports."""


def test_declaring_a_method_makes_it_a_call_and_nothing_else_does() -> None:
    assert [declaration.name for declaration in declared_by(Greetings)] == ["greet", "wave"]
    assert list(declared_by(Polite)) == []


def test_what_is_not_overridden_answers_not_supported_with_operation_and_datastore() -> None:
    polite = Polite()
    polite.datastore_name = "rudedb"
    assert polite.greet(RequestContext(), whom="Ada") == "Hello Ada"
    with pytest.raises(NotSupported, match=r"'wave'.*'rudedb'"):
        polite.wave(RequestContext())


def test_supported_is_what_is_overridden() -> None:
    greet, wave = declared_by(Greetings)
    for manager, supports_greet in ((Greetings, False), (Polite, True), (VeryPolite, True), (object, False)):
        assert greet.supported_by(manager) is supports_greet
        assert not wave.supported_by(manager)


def test_the_base_manager_supports_what_the_runtime_answers_by_itself() -> None:
    supported = {declaration.name for declaration in CALLS if declaration.supported_by(BaseDatastoreManager)}
    assert supported == {
        "rpc_ping",
        "describe",
        "get_status",
        "get_hwinfo",
        "get_diagnostics",
        "operation_list",
        "operation_show",
        "operation_cancel",
        "convert_engine",
    }


@pytest.mark.parametrize(
    ("arguments", "subject"),
    [
        ({"backup_info": {"id": "b1", "name": "x"}}, "b1"),
        ({"backup_info": {"name": "x"}}, None),
        ({"backup_info": {"id": 7}}, None),
        ({"backup_info": {"id": ["b1"]}}, None),
        ({"backup_info": None}, None),
        ({"backup_info": "b1"}, None),
        ({}, None),
    ],
)
def test_what_is_done_once_is_known_by_its_subject(arguments: dict[str, Any], subject: str | None) -> None:
    assert declared("create_backup").subject_of(arguments) == subject


def test_most_calls_have_no_subject() -> None:
    assert declared("create_user").subject_of({"users": [], "backup_info": {"id": "b1"}}) is None
    assert {one.name for one in CALLS if one.once} == {"create_backup"}
