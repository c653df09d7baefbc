"""The arguments of a call as they are typed: ``key=text`` and ``key:=json``."""

import json
import re
import sys
from pathlib import Path
from typing import Any

PAIR = re.compile(r"(?P<key>[^\W\d]\w*)(?P<sign>:?=)(?P<typed>.*)", re.DOTALL)
FILE = "@"


def pair(text: str) -> tuple[str, Any]:
    """Read one argument.

    A value that begins with ``@`` names the file that holds it, ``@-`` is standard input: what is
    typed can be seen by everybody on the machine.

    :raises ValueError: it is neither of the two forms; the text says why.
    """
    found = PAIR.fullmatch(text)
    if not found:
        raise ValueError("an argument is written key=text or key:=json")
    typed = found["typed"]
    if typed.startswith(FILE):
        typed = _contents(typed.removeprefix(FILE))
    if found["sign"] == "=":
        return found["key"], typed
    try:
        return found["key"], json.loads(typed)
    except ValueError as error:
        raise ValueError(f"the value of {found['key']} is no JSON ({error})") from None


def _contents(name: str) -> str:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{name} cannot be read: it is no UTF-8 text") from None
    return text.removesuffix("\n")
