"""Who we are to the store: a file that only the agent may read."""

import configparser
import dataclasses
import os
import stat
from pathlib import Path
from typing import Final

from guestagent.contract.errors import InvalidValue

SECTION: Final = "default"
LARGEST: Final = 1 << 16


@dataclasses.dataclass(frozen=True)
class Credentials:
    """What requests are signed with.

    :ivar token: of credentials that expire.
    """

    access_key: str
    secret_key: str = dataclasses.field(repr=False)
    token: str | None = dataclasses.field(default=None, repr=False)


def read(path: Path) -> Credentials:
    """The credentials in a file.

    :raises InvalidValue: it is not there, others may read it, or it does not say what is needed. No sentence
        holds anything of its content.
    """
    try:
        with path.open(encoding="utf-8") as file:
            state = os.fstat(file.fileno())
            text = file.read(LARGEST + 1)
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from None
    except UnicodeDecodeError:
        raise _unusable(path, "it is no text") from None
    if stat.S_IMODE(state.st_mode) & 0o077:
        raise _unusable(path, f"others may read it (mode {stat.S_IMODE(state.st_mode):04o}); set its mode to 0600")
    if len(text) > LARGEST:
        raise _unusable(path, f"it is longer than {LARGEST} characters")
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        # What it says holds the line that it does not understand.
        raise _unusable(path, f"it cannot be read ({type(error).__name__})") from None
    found = {name: parser.get(SECTION, name, fallback="").strip() for name in _NAMES}
    for name in _NAMES[:2]:
        if not found[name]:
            raise _unusable(path, f"it sets no {name} in a section [{SECTION}]")
    if not all(value.isascii() and value.isprintable() for value in found.values()):
        raise _unusable(path, "it holds characters that no credentials have")
    access_key, secret_key, token = (found[name] for name in _NAMES)
    return Credentials(access_key, secret_key, token or None)


_NAMES: Final = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")


def _unusable(path: Path, problem: str) -> InvalidValue:
    return InvalidValue(subject=f"The file {path} with the store's credentials", problem=problem)
