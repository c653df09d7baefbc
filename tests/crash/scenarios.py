"""The operations during which agents die: how each is asked for, and from which state on.

What an operation comes to is nowhere said: it is what it comes to when nobody dies.
"""

import base64
import contextlib
import dataclasses
import functools
import json
import shutil
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from guestagent.conformance.dying import State, differences
from guestagent.contract.operations import CodePath
from tests.crash.guest import FLAVOUR, KEPT, PASSWORD, PREPARE, Guest, Sent
from tests.crash.state import litter, state_of
from tests.support.authority import Authority

OTHER_FLAVOUR = FLAVOUR.replace("max_connections = 60", "max_connections = 90")
MODULE = {
    "id": "5e1d0b5c-0000-4000-8000-000000000001",
    "name": "greeting",
    "type": "ping",
    "contents": base64.b64encode(b"message=Hello\n").decode(),
    "md5": "0",
}
OLDER = "10.5.4-MariaDB"


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One operation.

    :ivar call: the contract's.
    :ivar arguments: of the call.
    :ivar arrange: makes the state from which it starts out of whatever an earlier run of it has left; the agent runs.
    :ivar own: it is a call of our own namespace.
    :ivar changes: something is different afterwards.
    :ivar fails: it is refused in its middle.
    :ivar may_stay: what an agent that gives it up leaves as it is, done or not: names of the state, or how they begin.
    :ivar may_differ: what is something else when it was given up; likewise.
    :ivar given_up: what is wrong when it was given up, in words, where that is not all; gets the state at the end of
        an undisturbed one.
    :ivar resumable: the code path ``convergence`` goes on with it; otherwise it is given up there too.
    :ivar lost: what of the state the agent itself holds, as it is when the agent has died.
    :ivar ask: asks for it, where that is not done by its arguments alone.
    """

    name: str
    call: str
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    arrange: Callable[[Guest], None] = lambda guest: None
    own: bool = False
    changes: bool = True
    fails: bool = False
    may_stay: Sequence[str] = ()
    may_differ: Sequence[str] = ()
    given_up: Callable[[Guest, State], list[str]] | None = None
    resumable: bool = True
    lost: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    ask: Callable[[Guest], Sent] | None = None

    def send(self, guest: Guest) -> Sent:
        """Ask for it."""
        if self.ask is not None:
            return self.ask(guest)
        return guest.send(self.call, self.arguments, own=self.own)


def _statements(*statements: str) -> Callable[[Guest], None]:
    return lambda guest: guest.execute(*statements)


def _calls(*calls: tuple[str, Mapping[str, Any]]) -> Callable[[Guest], None]:
    def arrange(guest: Guest) -> None:
        for method, arguments in calls:
            guest.do(method, **arguments)

    return arrange


def _in_order(*parts: Callable[[Guest], None]) -> Callable[[Guest], None]:
    def arrange(guest: Guest) -> None:
        for part in parts:
            part(guest)

    return arrange


def _user(name: str, databases: Sequence[str] = (), password: str = PASSWORD) -> dict[str, Any]:
    return {"_name": name, "_password": password, "_databases": [{"_name": database} for database in databases]}


def _made(name: str, databases: Sequence[str] = ()) -> list[str]:
    """A user as it is made behind the agent's back."""
    return [
        f"CREATE OR REPLACE USER {name}@'%' IDENTIFIED BY 'before'",
        *(f"GRANT ALL PRIVILEGES ON {database}.* TO {name}@'%'" for database in databases),
    ]


DATABASES = [
    Scenario(
        "create databases",
        "create_database",
        {"databases": [{"_name": name, "_character_set": "utf8mb3"} for name in ("made_1", "made_2", "made_3")]},
        _statements(*(f"DROP DATABASE IF EXISTS made_{number}" for number in (1, 2, 3))),
        may_stay=["database."],
    ),
    Scenario(
        "create databases, one of which cannot be",
        "create_database",
        {"databases": [{"_name": "made_1"}, {"_name": "made_2", "_character_set": "klingon"}, {"_name": "made_3"}]},
        _statements(*(f"DROP DATABASE IF EXISTS made_{number}" for number in (1, 2, 3))),
        fails=True,
        may_stay=["database."],
    ),
    Scenario(
        "drop a database",
        "delete_database",
        {"database": {"_name": "doomed"}},
        _statements("CREATE DATABASE IF NOT EXISTS doomed", "CREATE OR REPLACE TABLE doomed.t (a INT)"),
        may_stay=["database."],
    ),
]

USERS = [
    Scenario(
        "create users",
        "create_user",
        {"users": [_user("ada", ["shop_1", "shop_2"]), _user("bob", ["shop_1"]), _user("eve")]},
        _statements(
            *(f"CREATE DATABASE IF NOT EXISTS shop_{number}" for number in (1, 2)),
            *(f"DROP USER IF EXISTS {name}@'%'" for name in ("ada", "bob", "eve")),
        ),
        may_stay=["user.ada@", "grant.ada@", "user.bob@", "grant.bob@", "user.eve@"],
    ),
    Scenario(
        "drop a user",
        "delete_user",
        {"user": {"_name": "ada", "_host": "%"}},
        _statements(*_made("ada", [KEPT])),
        may_stay=["user.ada@", "grant.ada@"],
    ),
    Scenario(
        "change passwords",
        "change_passwords",
        {"users": [{"name": name, "password": "after"} for name in ("ada", "bob")]},
        _statements(*_made("ada", [KEPT]), *_made("bob")),
        may_stay=["user.ada@", "user.bob@"],
    ),
    Scenario(
        "rename a user",
        "update_attributes",
        {"username": "ada", "hostname": "%", "user_attrs": {"name": "ida", "password": "after"}},
        _statements("DROP USER IF EXISTS ida@'%'", *_made("ada", [KEPT])),
        may_stay=["user.ada@", "user.ida@", "grant.ada@", "grant.ida@"],
    ),
    Scenario(
        "grant access",
        "grant_access",
        {"username": "ada", "hostname": "%", "databases": ["shop_1", "shop_2"]},
        _statements(*(f"CREATE DATABASE IF NOT EXISTS shop_{number}" for number in (1, 2)), *_made("ada")),
        may_stay=["grant.ada@"],
    ),
    Scenario(
        "revoke access",
        "revoke_access",
        {"username": "ada", "hostname": "%", "database": KEPT},
        _statements(*_made("ada", [KEPT])),
        may_stay=["grant.ada@"],
    ),
    Scenario("enable root", "enable_root", {}, _statements("DROP USER IF EXISTS root@'%'")),
    Scenario(
        "enable root with a password",
        "enable_root_with_password",
        {"root_password": PASSWORD},
        _statements("CREATE OR REPLACE USER root@'%' IDENTIFIED BY 'before' ACCOUNT LOCK"),
    ),
    Scenario(
        "disable root",
        "disable_root",
        {},
        _statements("CREATE OR REPLACE USER root@'%' IDENTIFIED BY 'before' ACCOUNT UNLOCK"),
        may_stay=["user.root@%"],
    ),
]

_BASE: tuple[str, Mapping[str, Any]] = ("reset_configuration", {"configuration": {"config_contents": FLAVOUR}})
_OVERRIDES: tuple[str, Mapping[str, Any]] = ("update_overrides", {"overrides": {"max_connections": 70}})
_NO_OVERRIDES: tuple[str, Mapping[str, Any]] = ("update_overrides", {"overrides": {}})
# Its program has nothing against it; the server that runs does.
_REFUSED = {"max_connections": 80, "innodb_buffer_pool_size": 1 << 62}

CONFIGURATION = [
    Scenario(
        "write overrides",
        "update_overrides",
        {"overrides": {"max_connections": 80, "wait_timeout": 100}},
        _calls(_BASE, _OVERRIDES, ("restart", {})),
    ),
    Scenario(
        "write overrides that the server refuses",
        "update_overrides",
        {"overrides": {"max_connections": 80, "wait_timeout": "soon"}},
        _calls(_BASE, _OVERRIDES, ("restart", {})),
        fails=True,
    ),
    Scenario(
        "apply overrides",
        "apply_overrides",
        {"overrides": {"max_connections": 80, "wait_timeout": 100}},
        _in_order(
            _calls(_BASE, _OVERRIDES, ("restart", {})),
            _calls(("update_overrides", {"overrides": {"max_connections": 80, "wait_timeout": 100}})),
        ),
        may_stay=["variable.max_connections", "config.last-good/", "config.replaced/"],
    ),
    Scenario(
        "apply overrides that the server refuses",
        "apply_overrides",
        {"overrides": _REFUSED},
        _calls(_BASE, _OVERRIDES, ("restart", {}), ("update_overrides", {"overrides": _REFUSED})),
        fails=True,
        may_differ=["variable.max_connections"],
    ),
    Scenario(
        "write the base configuration",
        "reset_configuration",
        {"configuration": {"config_contents": OTHER_FLAVOUR}},
        _calls(_BASE, _NO_OVERRIDES, ("restart", {})),
    ),
    Scenario(
        "let nobody write",
        "make_read_only",
        {"read_only": True},
        _calls(("make_read_only", {"read_only": False})),
    ),
    Scenario(
        "let everybody write",
        "make_read_only",
        {"read_only": False},
        _calls(("make_read_only", {"read_only": True})),
    ),
]

_STOPPED = _calls(("restart", {}), _BASE, _NO_OVERRIDES, ("restart", {}), ("stop_db", {}))
_STARTED = ["server", "writable", "record.wanted", "variable.", "database.", "user.", "grant."]

LIFECYCLE = [
    Scenario("restart", "restart", {}, _calls(("restart", {})), changes=False),
    Scenario(
        "start a stopped server",
        "restart",
        {},
        _calls(("restart", {}), ("stop_db", {})),
        # What the user asked for last is on record, and done by whoever comes next.
        may_stay=_STARTED,
    ),
    Scenario("stop", "stop_db", {}, _calls(("restart", {})), may_stay=_STARTED),
    Scenario(
        "start with a new configuration",
        "start_db_with_conf_changes",
        {"config_contents": OTHER_FLAVOUR, "ds_version": "10.11"},
        _STOPPED,
        may_stay=_STARTED,
        # The way back ends with the server running on what it had.
        may_differ=["variable."],
    ),
    Scenario(
        "start with a configuration that the server cannot start with",
        "start_db_with_conf_changes",
        {"config_contents": f"{FLAVOUR}innodb_page_size = 8k\n", "ds_version": "10.11"},
        _STOPPED,
        fails=True,
        may_stay=_STARTED,
        may_differ=["variable."],
    ),
    Scenario(
        "get ready for an upgrade",
        "pre_upgrade",
        {},
        # The one before may have left the server stopped.
        _in_order(_calls(("restart", {})), _statements("SET GLOBAL innodb_fast_shutdown = 0")),
        may_stay=["variable.innodb_fast_shutdown"],
    ),
]


def _older_data(guest: Guest) -> None:
    """Let the data look as if an older server had written them."""
    (found,) = (guest.volume / "data").glob("*_upgrade_info")
    found.write_text(OLDER)


_UPGRADED = {"upgrade_info": {"datastore_version": "10.11"}}

UPGRADES = [
    Scenario(
        "upgrade",
        "upgrade",
        _UPGRADED,
        _in_order(_calls(("restart", {})), _older_data),
        may_stay=["data."],
    ),
    Scenario(
        "finish an upgrade",
        "post_upgrade",
        _UPGRADED,
        _in_order(_calls(("restart", {})), _older_data),
        may_stay=["data."],
    ),
]


@functools.cache
def _certificate(name: str) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(_authority().container(name))
    return made


@functools.cache
def _authority() -> Authority:
    return Authority()


def _enabled(mode: str, name: str) -> tuple[str, Mapping[str, Any]]:
    return "ssl_action", {"mode": mode, "container": _certificate(name), "enable": 1}


_DISABLED: tuple[str, Mapping[str, Any]] = ("ssl_action", {"disable": 1})
_NO_TLS = _calls(_DISABLED, ("restart", {}), _DISABLED)


def _forget_previous(guest: Guest) -> None:
    (guest.agent.state_dir / "tls-previous.json").unlink(missing_ok=True)


def _tls() -> list[Scenario]:
    return [
        Scenario("enable TLS", *_enabled("basic", "first"), _in_order(_NO_TLS, _forget_previous)),
        Scenario(
            "change the certificate",
            *_enabled("mtls", "second"),
            _in_order(_NO_TLS, _calls(_enabled("basic", "first"), ("restart", {}))),
        ),
        Scenario(
            "disable TLS",
            *_DISABLED,
            _in_order(_NO_TLS, _calls(_enabled("mtls", "first"), ("restart", {}))),
        ),
        Scenario(
            "roll TLS back",
            "ssl_rollback",
            {},
            _in_order(_NO_TLS, _calls(_enabled("enforced", "first"), ("restart", {}), _enabled("basic", "second"))),
        ),
    ]


def _no_logs(guest: Guest) -> None:
    """No log is on, there is none, and nothing was published."""
    for name in ("general", "slow_query"):
        guest.do("guest_log_action", log_name=name, enable=1)
        guest.do("guest_log_action", log_name=name, disable=1, discard=1)
        (guest.log_dir / f"{name}.log").unlink(missing_ok=True)


LOGS = [
    Scenario("switch a log on", "guest_log_action", {"log_name": "general", "enable": 1}, _no_logs),
    Scenario(
        "switch a log off",
        "guest_log_action",
        {"log_name": "general", "disable": 1},
        _in_order(_no_logs, _calls(("guest_log_action", {"log_name": "general", "enable": 1}))),
    ),
    Scenario(
        "publish a log that is off",
        "guest_log_action",
        {"log_name": "slow_query", "publish": 1},
        _no_logs,
        may_stay=["published."],
    ),
    Scenario(
        "discard and publish a log",
        "guest_log_action",
        {"log_name": "slow_query", "discard": 1, "publish": 1},
        _in_order(_no_logs, _calls(("guest_log_action", {"log_name": "slow_query", "publish": 1}))),
        changes=False,
        may_differ=["published."],
    ),
]

_MODULE = {"module": MODULE}
_UNWANTED = {**MODULE, "id": "5e1d0b5c-0000-4000-8000-000000000002", "name": "farewell"}


def _no_modules(guest: Guest) -> None:
    for module in guest.wire.call(guest.id, "module_list"):
        guest.do("module_remove", module={"module": {key: module[key] for key in ("id", "name", "type")}})


MODULES = [
    Scenario(
        "apply modules",
        "module_apply",
        {"modules": [_MODULE, {"module": _UNWANTED}]},
        _no_modules,
        may_stay=["module."],
    ),
    Scenario(
        "remove a module",
        "module_remove",
        {"module": _MODULE},
        _calls(("module_apply", {"modules": [_MODULE]})),
        may_stay=["module."],
    ),
]


def _on_legacy(guest: Guest) -> None:
    """There is no way back that could be asked for."""
    guest.agent.terminate()
    with contextlib.closing(sqlite3.connect(guest.agent.state_dir / "journal.db", isolation_level=None)) as journal:
        [(record,)] = journal.execute("SELECT record FROM instance").fetchall()
        changed = json.loads(record) | {"code_path": CodePath.LEGACY.value}
        journal.execute("UPDATE instance SET record = ?", (json.dumps(changed),))
    guest.boot()


SNAPSHOTS = [
    Scenario(
        "hold the data still",
        "pre_create_backup",
        {},
        _calls(("post_create_backup", {})),
        resumable=False,
        lost={"writable": True},
    ),
    Scenario(
        "let the data go",
        "post_create_backup",
        {},
        _calls(("pre_create_backup", {})),
        lost={"writable": True},
    ),
]

CONVERSION = Scenario("convert the engine", "convert_engine", {}, _on_legacy, own=True, may_stay=["record.code_path"])


def on_a_prepared_guest() -> list[Scenario]:
    """What can be asked of an instance that is ready, one after another."""
    return [*DATABASES, *USERS, *CONFIGURATION, *LIFECYCLE, *UPGRADES, *_tls(), *LOGS, *SNAPSHOTS, *MODULES]


def _empty_machine(guest: Guest) -> None:
    guest.wipe()
    guest.boot()


def _new_root_disk(guest: Guest) -> None:
    """A kept volume, and nothing else."""
    guest.restore()
    for path in (guest.agent.state_dir, guest.agent.directory / "run", guest.config_dir):
        shutil.rmtree(path)
    for directory in (guest.socket.parent, guest.log_dir):
        for path in directory.iterdir():
            path.unlink()
    guest.boot()


def fails_and_goes_well_when_asked_again(again: Callable[[], Scenario], guest: Guest, after: State) -> list[str]:
    """An instance that did not come up is down, and comes up when somebody asks once more.

    :param again: gives the scenario that asks.
    """
    found = state_of(guest)
    if found["record.phase"] == "ready":
        # It did, and something in it is missing.
        populated = ("database.", "user.", "grant.", "module.")
        return [f"{name} differs" for name in differences(after, found) if not name.startswith(populated)]
    down = {"record.phase": "failed", "record.wanted": "stopped", "server": False}
    wrong = [f"{name} is {found[name]}" for name, value in down.items() if found[name] != value] + litter(guest)
    if not wrong:
        guest.end_of(again().send(guest))
        guest.wait_for_rest()
        wrong = [f"{name} differs when it was asked again" for name in differences(after, state_of(guest))]
    return wrong


PREPARATION = Scenario(
    "prepare",
    "prepare",
    {
        **PREPARE,
        "databases": [{"_name": "first_1"}, {"_name": "first_2"}],
        "users": [_user("first", ["first_1", "first_2"]), _user("second", ["first_1"])],
        "root_password": PASSWORD,
        "overrides": {"max_connections": 70},
        "modules": [_MODULE],
    },
    _empty_machine,
    given_up=functools.partial(fails_and_goes_well_when_asked_again, lambda: PREPARATION),
)
REBUILD = Scenario(
    "rebuild",
    "rebuild",
    {"ds_version": "10.11", "config_contents": FLAVOUR, "config_overrides": {"max_connections": 70}},
    _new_root_disk,
    given_up=functools.partial(fails_and_goes_well_when_asked_again, lambda: REBUILD),
)


BOTH_PATHS = [CodePath.CONVERGENCE, pytest.param(CodePath.LEGACY, marks=pytest.mark.whole)]
"""Parameters of a test that a sample tries on one code path only."""
