"""The syntax of MariaDB's option files."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec

from guestagent.contract.errors import InvalidValue

SERVER_SECTION = "mysqld"

# Compiled when they are first needed: that takes a millisecond, and starting the agent needs none of them.
_SERVER_SECTIONS = r"(mysqld|mariadb|mariadbd|server|galera)(-\d+(\.\d+)?)?|client-server"
_SECTION = r"\[([^\]]*)\]"
_NAME = r"[a-z][a-z0-9_]*"
_PREFIXES = r"(loose|skip|enable|disable|maximum|autoset)_"
_PLAIN = r"[A-Za-z0-9_.,:/*+-]+"
_UNWRITABLE = r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]"


class Option(msgspec.Struct, frozen=True):
    """One option of a file.

    :ivar section: the section that it stands in.
    :ivar name: as :func:`normalised`.
    :ivar text: its line.
    """

    section: str
    name: str
    text: str


def normalised(name: str) -> str:
    """One spelling of a name: the server takes ``-`` for ``_`` and does not mind the case."""
    return name.strip().lower().replace("-", "_")


def bare(name: str) -> str:
    """The normalised name without the prefixes that only say how to set it, as in ``skip_name``."""
    name = normalised(name)
    while match := re.match(_PREFIXES, name):
        name = name[match.end() :]
    return name


def options(text: str) -> Iterator[Option]:
    """The options of a text; comments and includes are left out."""
    section = ""
    for line in map(str.strip, text.splitlines()):
        if header := re.match(_SECTION, line):
            section = header[1].strip().lower()
        elif line and line[0] not in "#;!":
            yield Option(section, normalised(line.partition("=")[0]), line)


def server_options(text: str) -> Iterator[Option]:
    """The options of a text that the server reads; other programs' sections are left out."""
    return (option for option in options(text) if re.fullmatch(_SERVER_SECTIONS, option.section))


def written(options: Iterable[Option]) -> str:
    """A text with the options."""
    lines: list[str] = []
    section = ""
    for option in options:
        if option.section != section:
            section = option.section
            lines.append(f"[{section}]")
        lines.append(option.text)
    return "\n".join(lines) + "\n" if lines else ""


def rendered(values: Mapping[str, object], section: str = SERVER_SECTION) -> str:
    """A text that gives the options these values.

    :raises InvalidValue: a name or value that cannot be written down.
    """
    lines = [f"{_name(name)} = {_value(name, value)}" for name, value in values.items()]
    return "\n".join([f"[{section}]", *lines]) + "\n" if lines else ""


def values(text: str, names: Collection[str], section: str = SERVER_SECTION) -> dict[str, str]:
    """The values of these names in a text that :func:`rendered` wrote."""
    return {
        option.name: _unquoted(option.text.partition("=")[2].strip())
        for option in options(text)
        if option.section == section and option.name in names
    }


def _name(name: str) -> str:
    if not re.fullmatch(_NAME, normalised(name)):
        raise InvalidValue(subject=f"The setting {name[:64]!r}", problem="it is no name of a server variable")
    return normalised(name)


def _value(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "ON" if value else "OFF"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        raise InvalidValue(subject=f"The setting '{name}'", problem="its value is neither a number, a text nor a truth")
    if re.search(_UNWRITABLE, value):
        raise InvalidValue(subject=f"The setting '{name}'", problem="its value has a control character")
    if re.fullmatch(_PLAIN, value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t") + '"'


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    return re.sub(r"\\(.)", lambda match: "\t" if match[1] == "t" else match[1], value[1:-1])
