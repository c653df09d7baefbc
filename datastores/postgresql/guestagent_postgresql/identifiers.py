"""Names of roles and databases: what the server can have, and how SQL says it."""

import re

from guestagent.contract.errors import InvalidValue
from guestagent.contract.users import is_anywhere

LONGEST = 63
"""Bytes of a name; the server would cut a longer one."""
OWNERS = "owner_of_"
"""How the names of the roles begin that own the users' databases."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def quoted(name: str) -> str:
    """An identifier for a statement."""
    from pg8000.native import identifier

    return str(identifier(name))


def literal(text: str) -> str:
    """A text for a statement that takes no values, as those about roles; the agent's sessions read it as it is."""
    from pg8000.native import literal

    return str(literal(text))


def check_user(name: str) -> str:
    """The name, if a user can have it.

    :raises InvalidValue: it cannot.
    """
    for prefix in ("pg_", OWNERS):
        if name.lower().startswith(prefix):
            problem = f"names that begin with {prefix!r} are the server's or the agent's"
            raise InvalidValue(subject=f"The user name {name[:LONGEST]!r}", problem=problem)
    return _checked("user name", name)


def check_database(name: str) -> str:
    """The name, if a database can have it.

    :raises InvalidValue: it cannot.
    """
    return _checked("database name", name)


def check_host(host: str | None) -> None:
    """See that a user may log in from anywhere, which is all that a role can.

    :raises InvalidValue: it is to have a host.
    """
    if not is_anywhere(host):
        problem = "PostgreSQL's users have no hosts; leave it out or restrict the instance's network"
        raise InvalidValue(subject=f"The host {(host or '')[:LONGEST]!r}", problem=problem)


def owner_name(database: str) -> str:
    """What the role is called that owns a database, as long as nothing else is."""
    return (OWNERS + database).encode()[:LONGEST].decode(errors="ignore")


def _checked(what: str, name: str) -> str:
    if problem := _problem(name):
        raise InvalidValue(subject=f"The {what} {name[:LONGEST]!r}", problem=problem)
    return name


def _problem(name: str) -> str | None:
    if not name:
        return "it is empty"
    if _SURROGATE.search(name):
        return "it is no valid Unicode text"
    if len(name.encode()) > LONGEST:
        return f"it has {len(name.encode())} bytes and the server takes {LONGEST}"
    if _CONTROL.search(name):
        return "it has a control character"
    return None
