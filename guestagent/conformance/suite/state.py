"""What a guest is like, as values that can be compared, and what may lie around nowhere."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from guestagent.conformance import journal
from guestagent.conformance.claims import claimed_by
from guestagent.conformance.datastore import Setting, is_given
from guestagent.conformance.dying import State
from guestagent.conformance.guest import Guest
from guestagent.conformance.suite import databases, users
from guestagent.conformance.suite.scenarios.scenario import Scenario
from guestagent.system import procfs

UNTOUCHED = "untouched"
"""What is written and no operation touches."""
UNFINISHED = (".unfinished-*", ".*-unfinished")
"""What the runtime leaves nowhere."""
PRESENT = ("service_status", "phase", "wanted", "datastore_version")
RENEWED = ("setting.", "certificate", "tls")
"""What is something else when the server has started anew: what was on disk has come into force."""
SETTLED = ("last-good", "replaced")
"""Directories beside a configuration in which it is noted what has come into force."""


def keep_something(guest: Guest) -> None:
    """Have something written that no operation touches."""
    if is_given(type(guest.datastore), "write"):
        guest.datastore.write(guest.account, UNTOUCHED, "data")


def lasting(state: State) -> State:
    """A state without what is something else when the server has started anew."""
    return {name: value for name, value in state.items() if not is_renewed(name)}


def is_renewed(name: str) -> bool:
    """Whether that is something else when the server has started anew."""
    return name.startswith(RENEWED) or any(f"/{directory}/" in name for directory in SETTLED)


def state_of(guest: Guest, scenario: Scenario) -> State:
    """What a guest at rest is like, as far as the plugin claims it and its author describes it."""
    status = guest.ask("get_status")
    found: dict[str, Any] = {name: status[name] for name in PRESENT}
    if not scenario.once:
        # Each machine has places and ports of its own in them.
        found |= _texts(guest)
    if status["phase"] == "ready" and status["service_status"] == "healthy":
        found |= {**_asked(guest, scenario), **scenario.look(guest)}
    return found


def _texts(guest: Guest) -> dict[str, str]:
    directory = guest.datastore.directory
    files = (path for pattern in guest.datastore.configured for path in directory.glob(pattern))
    return {f"file.{path.relative_to(directory)}": path.read_text() for path in files if path.is_file()}


def _asked(guest: Guest, scenario: Scenario) -> dict[str, Any]:
    """What the agent answers, and what the server's clients see."""
    kind = type(guest.datastore)
    claimed = claimed_by(kind)
    found = {name: look(guest) for name, (call, look) in ANSWERS.items() if call in claimed}
    for lists in {"databases", "users"} & found.keys():
        found |= {f"{lists}.{name}": value for name, value in found.pop(lists).items()}
    if scenario.comes_up and is_given(kind, "enters") and not guest.datastore.enters(guest.account):
        # The agent died before this user was whole.
        return found
    seen = {name: about for name, about in SEEN.items() if not (scenario.holds and name in WRITING)}
    return found | {name: look(guest) for name, (part, look) in seen.items() if is_given(kind, part)}


ANSWERS: Mapping[str, tuple[str, Callable[[Guest], Any]]] = {
    "databases": ("list_databases", lambda guest: dict.fromkeys(databases.names(guest), True)),
    "users": ("list_users", lambda guest: {user["_name"]: _granted(user) for user in users.listed(guest)}),
    "root": ("is_root_enabled", lambda guest: guest.do("is_root_enabled")),
    "logs": (
        "guest_log_list",
        lambda guest: {log["name"]: log["status"] == "Disabled" for log in guest.do("guest_log_list")},
    ),
    "modules": ("module_list", lambda guest: [module["name"] for module in guest.do("module_list")]),
    "tls": ("ssl_show", lambda guest: guest.do("ssl_show")),
}
"""What is asked of which call."""
SEEN: Mapping[str, tuple[str, Callable[[Guest], Any]]] = {
    "may_write": ("may_write", lambda guest: guest.datastore.may_write(guest.account)),
    "setting.live": ("setting", lambda guest: _in_force(guest, guest.datastore.live)),
    "setting.restart": ("setting", lambda guest: _in_force(guest, guest.datastore.restart)),
    "certificate": ("certificate", lambda guest: guest.datastore.certificate(guest.account)),
    "untouched": ("read", lambda guest: guest.datastore.keeps_data and guest.datastore.read(guest.account, UNTOUCHED)),
}
"""What is seen with which part of the description."""
WRITING = ("may_write",)
"""What takes a write."""


def _in_force(guest: Guest, setting: Setting | None) -> Any:
    return None if setting is None else guest.datastore.setting(guest.account, setting.name)


def _granted(user: Mapping[str, Any]) -> list[str]:
    return sorted(database["_name"] for database in user["_databases"])


def litter(guest: Guest) -> list[str]:
    """What must not be there when a guest is at rest, in words."""
    patterns = (*UNFINISHED, *guest.datastore.unfinished)
    home = guest.agent.directory.parent
    return [
        *(f"a process runs: {line}" for line in _strangers(guest)),
        *journal.litter(guest.agent.state_dir),
        *(f"{path} is there" for pattern in patterns for path in _found(home, pattern)),
    ]


def _found(home: Path, pattern: str) -> list[Path]:
    try:
        return sorted(home.rglob(pattern))
    except FileNotFoundError as gone:
        # Python leaves that to the caller when a directory goes while it looks into it.
        return [Path(gone.filename)]


def _strangers(guest: Guest) -> Iterator[str]:
    """The command lines of processes that belong to the guest, and are neither its agent nor its server."""
    ours = guest.processes()
    leader = guest.server
    if (leader is None or procfs.look_up(leader.pid) != leader) and any(guest.agent.directory.glob("run/*.json")):
        # An agent that died when it had just started a server leaves a record without the process.
        leader = next((process for process in ours if process.session == process.pid), None)
    known = procfs.family(leader) if leader else []
    yield from (" ".join(procfs.command_line(process)) for process in ours if process not in known)
