"""The keys that backups are encrypted with, by id. The first one encrypts, or a chosen one; all of them decrypt."""

import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from guestagent.contract.errors import GuestAgentError

KEY_BYTES: Final = 32
LARGEST: Final = 1 << 20
"""Bytes of the file; what is called a key file may be anything."""
_ENTRY = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,127})[ \t:]+([0-9A-Fa-f]{64})")


class KeysUnusable(GuestAgentError):
    """What should be keys are none, or others could read them."""

    id = "backup.keys"
    sentence = "The encryption keys of {origin} cannot be used: {problem}."


class UnknownKey(GuestAgentError):
    """A backup is encrypted with a key that this guest does not have."""

    id = "backup.unknown-key"
    sentence = (
        "Backup '{backup}' is encrypted with key '{key_id}', which this guest does not have; "
        "add it to [backup] encryption_key_file."
    )


class Keyring:
    """Keys by id. Nothing that it says of itself shows one.

    :param keys: in their order; at least one.
    :param current: the id of the one that encrypts; none: the first.
    :raises KeysUnusable: there is no key of that id.
    """

    def __init__(self, keys: Mapping[str, bytes], current: str | None = None) -> None:
        self._keys = dict(keys)
        self.current = next(iter(self._keys), "") if current is None else current
        if self.current not in self._keys:
            raise KeysUnusable(origin="[backup]", problem=f"there is none of the id '{self.current}'")

    def key(self, key_id: str, backup: str) -> bytes:
        """The key that a backup names.

        :raises UnknownKey: it is not here.
        """
        try:
            return self._keys[key_id]
        except KeyError:
            raise UnknownKey(backup=backup, key_id=key_id) from None


def read(entries: Iterable[str], path: Path | None, current: str | None) -> Keyring | None:
    """The keys of the configuration and then those of the file; none: there are none.

    :param entries: each ``<id>:<64 hexadecimal digits>``.
    :param path: a file of mode 0600, of the agent's account or root's; empty lines and those with ``#`` are none.
    :param current: the id of the one that encrypts; none: the first.
    :raises KeysUnusable: an entry is no key, an id is there twice, or the file is missing or open to others.
    """
    keys: dict[str, bytes] = {}
    _add(keys, "[backup] encryption_keys", list(entries))
    if path is not None:
        lines = [line.strip() for line in _text(path).splitlines()]
        _add(keys, str(path), [line if line and not line.startswith("#") else "" for line in lines])
    return Keyring(keys, current) if keys or current is not None else None


def _add(keys: dict[str, bytes], origin: str, entries: list[str]) -> None:
    for number, entry in enumerate(entries, 1):
        if not entry:
            continue
        found = _ENTRY.fullmatch(entry)
        if found is None:
            # Never the line itself: it may be a key with a slip of the finger in it.
            problem = f"entry {number} is not an id and 64 hexadecimal digits"
            raise KeysUnusable(origin=origin, problem=problem)
        key_id, digits = found.groups()
        if key_id in keys:
            raise KeysUnusable(origin=origin, problem=f"the id '{key_id}' is there twice")
        keys[key_id] = bytes.fromhex(digits)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            found = os.fstat(stream.fileno())
            if stat.S_IMODE(found.st_mode) & 0o077:
                problem = f"others may read them (mode {stat.S_IMODE(found.st_mode):04o}); chmod 600 it"
                raise KeysUnusable(origin=str(path), problem=problem)
            if found.st_uid not in (0, os.geteuid()):
                raise KeysUnusable(origin=str(path), problem="the file is somebody else's; chown it")
            content = stream.read(LARGEST + 1)
    except OSError as error:
        raise KeysUnusable(origin=str(path), problem=error.strerror or error) from error
    if len(content) > LARGEST:
        raise KeysUnusable(origin=str(path), problem="the file is too long to be one")
    # A stray byte makes an entry that is no key, which is said below.
    return content.decode("ascii", "replace")
