"""Text for people: tables, and values of any shape."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

GAP = "  "


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns as wide as they need to be, the last one not padded."""
    lines = [list(head), *([cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        GAP.join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def facts(values: Mapping[str, object]) -> str:
    """One fact a line, its value in a column of its own."""
    width = max(map(len, values), default=0)
    return "\n".join(f"{cell(name).ljust(width)}{GAP}{cell(value)}".rstrip() for name, value in values.items())


def cell(value: object) -> str:
    """A value as one line that no terminal mistakes for a command."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def value(found: Any) -> str:
    """Whatever an agent answered, in the form that reads best."""
    if isinstance(found, dict) and found:
        return facts(found)
    if isinstance(found, list) and found and all(isinstance(item, dict) for item in found):
        head = list(dict.fromkeys(key for item in found for key in item))
        return table([cell(key).upper() for key in head], [[item.get(key) for key in head] for item in found])
    if isinstance(found, list) and found:
        return "\n".join(map(cell, found))
    return cell(found)
