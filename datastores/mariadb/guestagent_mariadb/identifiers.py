"""Names of users, hosts and databases: what the server can have, and how SQL says it.

Names that are values (users, hosts) are bound by the driver. Names of databases and variables cannot
be; they go through :func:`quoted`, and through nothing else.
"""

import re

from guestagent.contract.errors import InvalidValue
from guestagent.contract.users import ANYWHERE

USER_LENGTH = 128
HOST_LENGTH = 255
DATABASE_LENGTH = 64

# Compiled when they are first needed: that takes half a millisecond, and starting the agent needs none of them.
_CONTROL = r"[\x00-\x1f\x7f-\x9f\u2028\u2029]"
_BEYOND = r"[\ud800-\udfff\U00010000-\U0010ffff]"
_HOST = r"[A-Za-z0-9_.:%/-]+"


def quoted(name: str) -> str:
    """An identifier for a statement that goes to the driver with its values.

    ``%`` is doubled because the driver's placeholders start with it.
    """
    return "`" + name.replace("`", "``").replace("%", "%%") + "`"


def literal_pattern(database: str) -> str:
    """The pattern of a grant that means this database alone: ``_`` and ``%`` are wildcards there.

    :raises InvalidValue: the server cannot keep the pattern.
    """
    pattern = re.sub(r"([\\_%])", r"\\\1", check_database(database))
    if len(pattern) > DATABASE_LENGTH:
        problem = f"'_', '%' and '\\' count twice in a grant, and it takes {DATABASE_LENGTH} characters"
        raise InvalidValue(subject=f"A grant on database {database!r}", problem=problem)
    return pattern


def database_of(pattern: str) -> str:
    """The name that a grant's pattern stands for; the reverse of :func:`literal_pattern`."""
    return re.sub(r"\\([\\_%])", r"\1", pattern)


def check_user(name: str) -> str:
    """The name, if a user can have it.

    :raises InvalidValue: it cannot.
    """
    return _checked("user name", name, USER_LENGTH)


def check_database(name: str) -> str:
    """The name, if a database can have it.

    :raises InvalidValue: it cannot.
    """
    if name.lower().startswith("#mysql50#"):
        raise InvalidValue(subject=f"The database name {name!r}", problem="the server reads '#mysql50#' as a file name")
    return _checked("database name", name, DATABASE_LENGTH)


def check_host(host: str | None) -> str:
    """The host as the server keeps it; none or empty: from anywhere.

    :raises InvalidValue: it is no host, address or pattern of them, or it is the guest itself.
    """
    if not host:
        return ANYWHERE
    if len(host) > HOST_LENGTH or not re.fullmatch(_HOST, host):
        problem = (
            f"it is no address, network or host name of at most {HOST_LENGTH} characters ('%' and '_' are wildcards)"
        )
        raise InvalidValue(subject=f"The host {host[:HOST_LENGTH]!r}", problem=problem)
    if host.lower() == "localhost":
        raise InvalidValue(subject="The host 'localhost'", problem="logins on the guest itself are the agent's")
    return host.lower()


def _checked(what: str, name: str, length: int) -> str:
    problem = _problem(name, length)
    if problem:
        raise InvalidValue(subject=f"The {what} {name[:DATABASE_LENGTH]!r}", problem=problem)
    return name


def _problem(name: str, length: int) -> str | None:
    if not name:
        return "it is empty"
    if len(name) > length:
        return f"it has {len(name)} characters and the server takes {length}"
    if re.search(_CONTROL, name):
        return "it has a control character"
    if re.search(_BEYOND, name):
        return "the server has no names with characters beyond U+FFFF"
    if name != name.strip():
        return "it begins or ends with a space, which the server would drop"
    return None
