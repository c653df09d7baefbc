"""What a guest is like, as values that can be compared, and what may lie around nowhere."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql

from guestagent.conformance import journal
from guestagent.conformance.dying import State
from guestagent.conformance.poll import eventually
from tests.crash.guest import KEPT, Guest

VARIABLES = (
    "max_connections",
    "read_only",
    "general_log",
    "slow_query_log",
    "require_secure_transport",
    "have_ssl",
    "ssl_cert",
    "ssl_ca",
    "innodb_fast_shutdown",
)
GENERATED = "a password"
"""Stands for the digest of a password that the agent makes up."""
PASSES_AWAY = ("created", "updated")
"""What a module's result says of the time."""

TOLD_SECONDS = 60.0
"""How long it may take until the conductor has heard of an end."""
LOCK_SECONDS = 1
"""How long a write waits before it is said that nobody may."""
LOCKED = (1049, 1146, 1205)
"""There is no such database, or no such table; a lock was not given in time."""

UNFINISHED = (
    ".unfinished-*",
    "trial.cnf",
    "claim.sql",
    "lent.cnf",
    ".data-unfinished",
    ".backup-*",
    "*.new",
    "*.damaged*",
)
"""What exists only while somebody works on it, wherever it is."""


def state_of(guest: Guest) -> State:
    """What a guest at rest is like."""
    found: dict[str, Any] = {"server": guest.server_answers()}
    found |= {f"record.{name}": value for name, value in record_of(guest).items()}
    found |= _texts("config", guest.config_dir)
    found |= _texts("tls", guest.volume / "tls")
    found |= _texts("data", guest.volume / "data", "*_upgrade_info")
    found |= _texts("logins", guest.volume, "logins-before-mtls.json")
    found |= _texts("state", guest.agent.state_dir, "tls-previous.json")
    found |= _modules(guest)
    found |= _published(guest)
    found["mounts"] = mounts_of(guest)
    for look in guest.beside:
        found |= look()
    if found["server"]:
        found |= _in_server(guest)
    return found


def record_of(guest: Guest) -> dict[str, Any]:
    """The instance's record as it is on disk."""
    rows = journal.rows(guest.agent.state_dir, "SELECT record FROM instance")
    return dict(json.loads(rows[0][0])) if rows else {}


def litter(guest: Guest) -> list[str]:
    """What must not be there when a guest is at rest, in words."""
    return [
        *_strangers(guest),
        *(f"{path} is there" for pattern in UNFINISHED for path in sorted(guest.home.rglob(pattern))),
        *_journal_litter(guest),
        *_complaints(guest),
        *_lost(guest),
    ]


def mounts_of(guest: Guest) -> list[str]:
    """Where something is mounted below the guest's directory."""
    points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return sorted(point for point in points if point.startswith(f"{guest.home}/"))


def _strangers(guest: Guest) -> Iterator[str]:
    """Processes that are not the server, or that are and should not."""
    server = f"mariadbd --defaults-file={guest.config_dir / 'server.cnf'}"
    found = list(guest.processes().values())
    servers = [line for line in found if line.endswith(server)]
    yield from (f"a process runs: {line}" for line in found if line not in servers)
    if len(servers) != guest.server_answers():
        yield f"{len(servers)} servers run, and {'one' if guest.server_answers() else 'none'} answers"


def _journal_litter(guest: Guest) -> Iterator[str]:
    with contextlib.suppress(AssertionError):
        # The conductor hears of an end after the operation has ended, and the journal last of all.
        eventually(lambda: not [*journal.litter(guest.agent.state_dir)], timeout=TOLD_SECONDS)
    yield from journal.litter(guest.agent.state_dir)


def _complaints(guest: Guest) -> Iterator[str]:
    """What the server's own program has against the configuration."""
    main = guest.config_dir / "server.cnf"
    if main.exists():
        done = subprocess.run(
            ["/usr/sbin/mariadbd", f"--defaults-file={main}", "--help", "--verbose"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if done.returncode or "[ERROR]" in done.stderr:
            yield f"the configuration is refused: {done.stderr[-500:]}"


def _lost(guest: Guest) -> Iterator[str]:
    """What is missing of the data that nobody touched."""
    has_table = (guest.volume / "data" / KEPT / "t.frm").exists()
    if has_table and guest.server_answers() and guest.rows(f"SELECT * FROM {KEPT}.t") != [(1, "data")]:
        yield "the kept row is not there"


def _in_server(guest: Guest) -> dict[str, Any]:
    names = ", ".join(f"'{name}'" for name in VARIABLES)
    variables = guest.rows(
        "SELECT LOWER(variable_name), variable_value FROM information_schema.global_variables"
        f" WHERE variable_name IN ({names})"
    )
    databases = guest.rows(
        "SELECT schema_name, default_collation_name FROM information_schema.schemata"
        " WHERE schema_name NOT IN ('information_schema', 'performance_schema')"
    )
    # A root that is locked out is as good as none.
    users = guest.rows(
        "SELECT User, Host, Priv FROM mysql.global_priv WHERE NOT (User = 'guestagent' AND Host = 'localhost')"
        " AND NOT (User = 'root' AND COALESCE(JSON_VALUE(Priv, '$.account_locked'), 0))"
    )
    grants = guest.rows("SELECT User, Host, Db, Insert_priv, Grant_priv FROM mysql.db")
    return {
        "writable": _is_writable(guest),
        **{f"variable.{name}": value for name, value in variables},
        **{f"database.{name}": collation for name, collation in databases},
        **{f"user.{name}@{host}": _privileges(name, privileges) for name, host, privileges in users},
        **{f"grant.{name}@{host}.{database}": tuple(rest) for name, host, database, *rest in grants},
    }


def _is_writable(guest: Guest) -> bool:
    """Whether no lock keeps anybody from writing."""
    try:
        guest.execute(f"SET SESSION lock_wait_timeout = {LOCK_SECONDS}", f"UPDATE {KEPT}.t SET b = 'data'")
    except pymysql.Error as error:
        if error.args[0] not in LOCKED:
            raise
        return False
    return True


def _privileges(name: str, text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    found.pop("password_last_changed", None)
    found.pop("version_id", None)
    # What a change of a login has touched is there and empty.
    found = {key: value for key, value in found.items() if value or key == "access"}
    if name == "root" and found.get("authentication_string"):
        found["authentication_string"] = GENERATED
    return found


def _texts(kind: str, directory: Path, pattern: str = "**/*") -> dict[str, Any]:
    return {
        f"{kind}.{path.relative_to(directory)}": (
            path.read_text(),
            oct(path.stat().st_mode),
            path.owner(),
            path.group(),
        )
        for path in directory.glob(pattern)
        if path.is_file()
    }


def _modules(guest: Guest) -> dict[str, Any]:
    root = guest.agent.state_dir / "modules"
    found: dict[str, Any] = {}
    for path in root.glob("*/*/*"):
        name = f"module.{path.relative_to(root)}"
        if path.suffix == ".json":
            result = json.loads(path.read_text())
            found[name] = {key: value for key, value in result.items() if key not in PASSES_AWAY}
        else:
            found[name] = path.read_bytes()
    return found


def _published(guest: Guest) -> dict[str, Any]:
    """How much of each log was published: all of it, or what else. An agent that is killed may repeat one piece."""
    found: dict[str, Any] = {}
    for metafile in guest.agent.storage_dir.rglob("*_metafile"):
        about = json.loads(metafile.read_text())
        objects = sorted(metafile.with_name(metafile.name.removesuffix("_metafile")).glob("*"))
        pieces = [path.read_bytes() for path in objects]
        log = Path(about["log_file"]).read_bytes()[: about["log_size"]]
        told = (pieces, *(pieces[:number] + pieces[number + 1 :] for number in range(len(pieces))))
        whole = any(b"".join(one) == log for one in told)
        found[f"published.{about['log_name']}"] = "whole" if whole else "something else"
    return found
