"""The syntax of PostgreSQL's configuration files, see its documentation, "Setting Parameters"."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec

from guestagent.contract.errors import InvalidValue

_NAME = re.compile(r"[a-z_][a-z0-9_$]*(\.[a-z_][a-z0-9_$]*)*")
_LINE = re.compile(
    r"\s*(?P<name>[A-Za-z_][A-Za-z0-9_$.]*)\s*(?:=\s*|\s)"
    r"(?P<value>'(?:[^'\\]|''|\\.)*'|[^\s#']+)\s*(?:#.*)?"
)
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_ESCAPED = re.compile(r"''|\\(.)")
_INCLUDES = frozenset({"include", "include_dir", "include_if_exists"})


class Setting(msgspec.Struct, frozen=True):
    """One setting of a file.

    :ivar name: as :func:`normalised`.
    :ivar text: its line, without a comment.
    """

    name: str
    text: str


def normalised(name: str) -> str:
    """One spelling of a name: the server does not mind the case."""
    return name.strip().lower()


def settings(text: str) -> Iterator[Setting]:
    """The settings of a text; comments and what is no setting are left out, and so are other files that it includes."""
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match and normalised(match["name"]) not in _INCLUDES:
            yield Setting(normalised(match["name"]), f"{normalised(match['name'])} = {match['value']}")


def written(settings: Iterable[Setting]) -> str:
    """A text with the settings, one to a line."""
    return "".join(f"{setting.text}\n" for setting in settings)


def rendered(values: Mapping[str, object]) -> str:
    """A text that gives the settings these values.

    :raises InvalidValue: a name or value that cannot be written down.
    """
    return "".join(f"{_name(name)} = {_value(name, value)}\n" for name, value in values.items())


def values(text: str, names: Collection[str]) -> dict[str, str]:
    """The values of these names in a text that :func:`rendered` wrote."""
    found = (setting.text.partition(" = ") for setting in settings(text))
    return {name: _unquoted(value) for name, _, value in found if name in names}


def _name(name: str) -> str:
    if not _NAME.fullmatch(normalised(name)) or normalised(name) in _INCLUDES:
        raise InvalidValue(subject=f"The setting {name[:64]!r}", problem="it is no name of a setting of the server")
    return normalised(name)


def _value(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        raise InvalidValue(subject=f"The setting '{name}'", problem="its value is neither a number, a text nor a truth")
    if _UNWRITABLE.search(value):
        raise InvalidValue(subject=f"The setting '{name}'", problem="its value has a control character")
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _unquoted(value: str) -> str:
    if not value.startswith("'"):
        return value
    return _ESCAPED.sub(lambda match: match[1] or "'", value[1:-1])
