"""The server's configuration files: a directive a line, a name and its arguments."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from guestagent.contract.errors import InvalidValue

SAVE = "save"
NO_SAVE = f'{SAVE} ""\n'
"""The one directive that adds to what stood before; this takes it all back."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_UNITS = {"": 1, "b": 1, "k": 10**3, "kb": 1 << 10, "m": 10**6, "mb": 1 << 20, "g": 10**9, "gb": 1 << 30}
_SIZE = re.compile(r"(-?\d+)([kmg]?b?)", re.IGNORECASE)


class Directive(NamedTuple):
    """One line.

    :ivar name: in small letters.
    :ivar text: the line as it stands, without blanks around it.
    """

    name: str
    text: str


def parsed(text: str) -> Iterator[Directive]:
    """The directives of a text; comments and empty lines are none."""
    for line in text.splitlines():
        words = line.split(maxsplit=1)
        if words and not words[0].startswith("#"):
            yield Directive(words[0].lower(), line.strip())


def written(directives: Iterable[Directive]) -> str:
    """A text of directives, whose ``save`` replaces what stood before it."""
    kept = list(directives)
    saves = any(directive.name == SAVE for directive in kept)
    return (NO_SAVE if saves else "") + "".join(f"{directive.text}\n" for directive in kept)


def rendered(values: Mapping[str, Any]) -> str:
    """Settings as directives.

    :raises InvalidValue: a name or value that cannot be written down.
    """
    return written(Directive(name, f"{name} {quoted(spelled(name, value))}") for name, value in named(values).items())


def named(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings by their names in small letters.

    :raises InvalidValue: a name that none has.
    """
    for name in values:
        if not _NAME.fullmatch(name.lower()):
            raise InvalidValue(subject=f"The setting {name[:64]!r}", problem="it is no name of a setting")
    return {name.lower(): value for name, value in values.items()}


def spelled(name: str, value: object) -> str:
    """A value as the server wants it.

    :raises InvalidValue: it has no such form.
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str) and value.isprintable():
        return value
    raise InvalidValue(subject=f"The setting '{name}'", problem="its value is no number, no truth and no line of text")


def quoted(value: str) -> str:
    """A value as one argument; the server splits it by itself where it wants several."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def last(texts: Iterable[str], name: str) -> str | None:
    """The argument of a directive that has one, where it stands last; none: nowhere."""
    found = [directive.text for text in texts for directive in parsed(text) if directive.name == name]
    return found[-1].split(maxsplit=1)[1].strip("\"'") if found and " " in found[-1] else None


def same(one: str, other: str) -> bool:
    """Whether two spellings of a value mean the same: ``1gb`` and ``1073741824``, ``YES`` and ``yes``."""
    return _meaning(one) == _meaning(other)


def _meaning(value: str) -> object:
    size = _SIZE.fullmatch(value)
    if size and size[2].lower() in _UNITS:
        return int(size[1]) * _UNITS[size[2].lower()]
    return value.casefold()
