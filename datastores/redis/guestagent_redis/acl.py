"""Users as the server's file of users has them, and what the ones that the agent makes may do."""

import hashlib
from collections.abc import Collection

from guestagent.contract.errors import InvalidValue

DEFAULT = "default"
"""The user of clients that give a password and no name: what other servers call root."""
EVERYTHING = ("~*", "&*", "+@all")
ORDINARY = (*EVERYTHING, "-@admin", "+config|get")
"""All keys, all channels, and all commands but those that manage the server; its settings may be looked at."""
LOCKED = f"user {DEFAULT} off resetchannels -@all"
LONGEST_NAME = 128


def digest(password: str | None, subject: str) -> str:
    """What the server keeps of a password; it never sees more of it.

    :param subject: whose password, for the error's sentence.
    :raises InvalidValue: there is none, or no client could send it.
    """
    from guestagent.system.passwords import encoded

    return hashlib.sha256(encoded(password, subject)).hexdigest()


def check_name(name: str, reserved: Collection[str]) -> str:
    """The name, if a user of a user can have it.

    :raises InvalidValue: it cannot.
    """
    problem = None
    if not name or len(name) > LONGEST_NAME:
        problem = f"it must have 1 to {LONGEST_NAME} characters"
    elif any(character.isspace() or not character.isprintable() for character in name):
        problem = "it has a space or a control character"
    elif name in reserved:
        problem = "it is reserved for the server or the agent"
    if problem:
        raise InvalidValue(subject=f"The user name {name[:LONGEST_NAME]!r}", problem=problem)
    return name


def name_of(line: str) -> str:
    """The user's name of a line ``user NAME RULE...``; empty: it is no such line."""
    words = line.split()
    return words[1] if len(words) > 1 and words[0] == "user" else ""


def rules_of(line: str) -> list[str]:
    """The rules of such a line, as ``ACL SETUSER`` takes them."""
    return line.split()[2:]


def claimed(text: str, administrator: str, claim: str) -> str:
    """The text of a file of users in which the agent is one, and nobody enters without a password.

    :param administrator: the agent's name.
    :param claim: its line.
    """
    kept = {name: line for line in text.splitlines() if (name := name_of(line)) != administrator and name}
    if "nopass" in rules_of(kept.setdefault(DEFAULT, LOCKED)):
        kept[DEFAULT] = LOCKED
    return "".join(f"{line}\n" for line in (*kept.values(), claim))
