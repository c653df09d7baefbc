"""Static large objects: one object of many by a list of them, and lists in lists where one would be too long."""

import hashlib
import http
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from oslo_log import log

from guestagent.contract.errors import StorageError
from guestagent.storage.base import Part

LOG = log.getLogger(__name__)


class Limits(msgspec.Struct, frozen=True):
    """What a list may have, as ``/info`` tells it under ``slo``; the defaults are Swift's.

    :ivar max_manifest_segments: entries.
    :ivar max_manifest_size: bytes.
    """

    max_manifest_segments: int = 1000
    max_manifest_size: int = 8 << 20


class Info(msgspec.Struct, frozen=True):
    """What we ask ``/info`` for."""

    slo: Limits = Limits()


class Verdict(msgspec.Struct, frozen=True):
    """How a list was taken, where Swift had to say "202" before it knew.

    :ivar status: as the answer would have begun.
    :ivar errors: pairs of a part and what is wrong with it.
    """

    status: str = msgspec.field(default="", name="Response Status")
    body: str = msgspec.field(default="", name="Response Body")
    errors: list[list[str]] = msgspec.field(default_factory=list, name="Errors")

    @property
    def number(self) -> int:
        """The status; one that is not understood is the store's fault."""
        text = self.status.partition(" ")[0]
        return int(text) if text.isascii() and text.isdigit() else http.HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def words(self) -> str:
        """What is wrong."""
        return "; ".join(" ".join(error) for error in self.errors) or self.body


Keep = Callable[[str, Sequence[Part]], Part]
"""Keeps a list of parts under a name, and says what has become of it."""

DEPTH: Final = 10
"""Lists in lists that Swift reads."""
BUFFERED: Final = 10
"""So many times the entries of the longest list Swift has in mind while it deletes an object with its parts."""
DIGITS: Final = 16
"""Of a digest; enough where only the lists of one backup must not have one name."""


class TooManyParts(StorageError):
    """No list of lists has room for so many."""

    hopeless = True
    id = "storage.too-many-parts"
    sentence = "{subject} failed: the object store joins no {count} parts; make them larger."


def join(what: str, name: str, parts: Sequence[Part], limits: Limits, container: str, keep: Keep) -> Part:
    """Make one object of the parts, with as many lists as it takes.

    The last entries of the first list are lists that begin chains: the last entry of each is the next list. A tree
    would be less deep. But Swift deletes level by level, and has the entries of one in mind: those of a tree are too
    many soon, whereupon it deletes nothing and answers as if it had. Of chains there are few.

    A list that is not the first one lies beside its first part, so that who removes all that lies there leaves
    nothing behind. What is in it is in its name: one that is made again is the same, and no other is in its way.

    :raises TooManyParts: there are.
    """
    most = _most(container, parts, limits)
    reach = (DEPTH - 1) * (most - 1) + 1
    chains = max(0, -(-(len(parts) - most) // (reach - 1)))
    if chains > most:
        raise TooManyParts(subject=what, count=len(parts))
    if chains * (most + 2) > BUFFERED * most:
        LOG.warning("%s: it has too many parts (%d) to be deleted together with them", what, len(parts))
    begin = most - chains if chains else most
    heads = [_chain(parts[start : start + reach], most, keep) for start in range(begin, len(parts), reach)]
    return keep(name, [*parts[:begin], *heads])


def _chain(parts: Sequence[Part], most: int, keep: Keep) -> Part:
    """The first list of a chain that has all the parts; the last one is made first."""
    if len(parts) == 1:
        return parts[0]
    following: list[Part] = []
    for start in reversed(range(0, len(parts) - 1, most - 1)):
        # The last list needs no room for another one.
        entries = [*parts[start : start + most - 1], *following] if following else parts[start:]
        following = [keep(_name(entries), entries)]
    return following[0]


def listing(container: str, parts: Sequence[Part]) -> bytes:
    """The list as Swift reads it."""
    return b"[" + b",".join(_entry(container, part) for part in parts) + b"]"


def _entry(container: str, part: Part) -> bytes:
    return msgspec.json.encode({"path": f"/{container}/{part.name}", "etag": part.md5, "size_bytes": part.size})


def _most(container: str, parts: Sequence[Part], limits: Limits) -> int:
    """So many entries may be in one list; two at least, or there would be no end."""
    longest = max(len(_entry(container, part)) for part in parts) + len(b",") + DIGITS + 1
    return max(2, min(limits.max_manifest_segments, limits.max_manifest_size // longest))


def _name(parts: Sequence[Part]) -> str:
    """Of a list that has these entries, the first of which is no list."""
    digest = hashlib.sha256(msgspec.json.encode(parts)).hexdigest()
    return f"{parts[0].name}+{digest[:DIGITS]}"
