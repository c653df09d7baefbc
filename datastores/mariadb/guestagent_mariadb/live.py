"""Settings that the running server takes without a restart."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from oslo_log import log

from guestagent.contract.errors import DatastoreError, GuestAgentError, InvalidValue
from guestagent_mariadb.connection import Connections
from guestagent_mariadb.identifiers import quoted
from guestagent_mariadb.option_file import normalised

LOG = log.getLogger(__name__)

_SIZE = re.compile(r"(-?\d+)([KMGTPE]?)", re.IGNORECASE)


class LiveVariables:
    """The global variables of the running server.

    Which of them can change is asked of the server (``information_schema.system_variables``), so that no
    list of ours can be out of date.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def apply(self, values: Mapping[str, Any]) -> list[str]:
        """Set the variables; all of them that can be set, or none.

        :returns: the names of those that wait for a restart, because the server has another value now.
        :raises InvalidValue: the server does not know one or refuses its value; the others have their
            old values again.
        """
        wanted = {normalised(name): value for name, value in values.items()}
        kinds = self._kinds(wanted)
        waiting = []
        done: dict[str, object] = {}
        try:
            for name, value in wanted.items():
                kind, fixed = kinds[name]
                new = _converted(name, kind, value)
                old = self._value(name)
                if _same(old, new):
                    continue
                if fixed:
                    waiting.append(name)
                    continue
                self._set(name, new)
                done[name] = old
        except GuestAgentError:
            self._take_back(done)
            raise
        return waiting

    def values(self, names: Iterable[str]) -> dict[str, Any]:
        """The values of those of the variables that can change while the server runs."""
        rows = self._connections.fetch(
            "Reading the server's variables",
            "SELECT LOWER(variable_name) FROM information_schema.system_variables"
            " WHERE variable_scope <> 'SESSION ONLY' AND read_only <> 'YES'",
        )
        changeable = {name for (name,) in rows}
        return {name: self._value(name) for name in map(normalised, names) if name in changeable}

    def put_back(self, values: Mapping[str, Any]) -> None:
        """Set the variables to values that they had; one that has its value is left alone."""
        self._take_back({name: value for name, value in values.items() if not _same(self._value(name), value)})

    def _kinds(self, names: Mapping[str, Any]) -> dict[str, tuple[str, bool]]:
        """The type of each variable, and whether only a restart changes it."""
        rows = self._connections.fetch(
            "Reading the server's variables",
            "SELECT LOWER(variable_name), variable_type, read_only = 'YES'"
            " FROM information_schema.system_variables WHERE variable_scope <> 'SESSION ONLY'",
        )
        found = {name: (kind, bool(fixed)) for name, kind, fixed in rows if name in names}
        for name in names:
            if name not in found:
                problem = "this server has no global variable of that name"
                raise InvalidValue(subject=f"The setting '{name}'", problem=problem)
        return found

    def _value(self, name: str) -> object:
        [(value,)] = self._connections.fetch(f"Reading variable '{name}'", f"SELECT @@GLOBAL.{quoted(name)}")
        return value

    def _set(self, name: str, value: object) -> None:
        try:
            self._connections.execute(f"Setting variable '{name}'", f"SET GLOBAL {quoted(name)} = %s", (value,))
        except DatastoreError as error:
            raise InvalidValue(subject=f"The setting '{name}'", problem=error.facts["problem"]) from None

    def _take_back(self, done: Mapping[str, object]) -> None:
        for name, value in done.items():
            try:
                self._set(name, value)
            except GuestAgentError as error:
                LOG.error("Variable %s keeps its new value until the next start: %s", name, error)


def _converted(name: str, kind: str, value: object) -> object:
    """The value in the type that ``SET`` wants, from the spelling that option files allow.

    :raises InvalidValue: it has no such form.
    """
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    if not isinstance(value, str):
        raise InvalidValue(subject=f"The setting '{name}'", problem="its value is neither a number, a text nor a truth")
    size = _SIZE.fullmatch(value.strip())
    if size:
        return int(size[1]) << (10 * " KMGTPE".index(size[2].upper() or " ")) if "INT" in kind or not size[2] else value
    if kind == "DOUBLE":
        try:
            return float(value)
        except ValueError:
            pass
    if "INT" in kind or kind == "DOUBLE":
        raise InvalidValue(subject=f"The setting '{name}'", problem=f"the server wants a number and not {value[:64]!r}")
    return value


def _same(old: object, new: object) -> bool:
    if isinstance(old, int | float) and isinstance(new, int | float):
        return old == new
    truths = {"ON": "1", "OFF": "0", "TRUE": "1", "FALSE": "0"}
    spelled = [truths.get(str(value).upper(), str(value)) for value in (old, new)]
    return spelled[0] == spelled[1]
