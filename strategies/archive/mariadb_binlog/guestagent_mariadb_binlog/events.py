"""What is read of a binary log itself: where its transactions begin, when they were made, and their GTIDs.

The format is described in MariaDB's Knowledge Base ("Binlog Event Header", "GTID_EVENT", "GTID_LIST_EVENT"). Numbers
are little-endian.
"""

import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import msgspec

from guestagent_mariadb_binlog.errors import BinaryLogEncrypted, BinaryLogInvalid

MAGIC: Final = b"\xfebin"
HEADER: Final = struct.Struct("<IBIIIH")
"""Time, type, server, size, the place of the next one, flags."""
FORMAT_DESCRIPTION, GTID, GTID_LIST, START_ENCRYPTION = 15, 162, 163, 164
LARGEST_HEAD: Final = 1 << 24
_GTID_BODY: Final = struct.Struct("<QI")
_LIST_ENTRY: Final = struct.Struct("<IIQ")
_COUNT_BITS: Final = (1 << 28) - 1
_TEXT: Final = re.compile(r"(\d{1,10})-(\d{1,10})-(\d{1,20})")


class Gtid(NamedTuple):
    """The name of a transaction: its number among those of a domain, and the server that made it."""

    domain: int
    server: int
    number: int

    def __str__(self) -> str:
        return f"{self.domain}-{self.server}-{self.number}"


Gtids = Mapping[tuple[int, int], int]
"""The last numbers, by domain and server."""


def parse(text: str) -> list[Gtid]:
    """GTIDs with commas between them.

    :raises ValueError: there is something else.
    """
    found = []
    for part in text.split(",") if text else []:
        match = _TEXT.fullmatch(part.strip())
        if match is None:
            raise ValueError(part)
        found.append(Gtid(*map(int, match.groups())))
    return found


def state_of(gtids: Iterable[Gtid]) -> dict[tuple[int, int], int]:
    """The last number of each domain and server."""
    return {(one.domain, one.server): one.number for one in sorted(gtids)}


def spelled(state: Gtids) -> str:
    """All of a state, always in the same form."""
    return ",".join(str(Gtid(*key, number)) for key, number in sorted(state.items()))


def newest(state: Gtids) -> str:
    """The last transaction of each domain: what a replica is told to begin with."""
    domains: dict[int, Gtid] = {}
    for (domain, server), number in state.items():
        if domain not in domains or number > domains[domain].number:
            domains[domain] = Gtid(domain, server, number)
    return ",".join(map(str, sorted(domains.values())))


class Head(NamedTuple):
    """How a log begins.

    :ivar opened: seconds since the epoch.
    :ivar before: the GTIDs of all logs before it.
    """

    opened: int
    before: Gtids


class Transaction(NamedTuple):
    """Where a transaction begins.

    :ivar place: bytes from the beginning of the log.
    :ivar time: seconds since the epoch.
    """

    place: int
    time: int
    gtid: Gtid


class BinaryLog(msgspec.Struct, frozen=True):
    """A file.

    :raises BinaryLogInvalid: by every method, when it is something else.
    """

    path: Path

    def head(self) -> Head:
        """How it begins.

        :raises BinaryLogEncrypted: only its server can read it.
        """
        with self.path.open("rb") as stream:
            opened = None
            for _, header, body in self._events(stream, frozenset({GTID_LIST})):
                kind = header[1]
                if opened is None:
                    if kind != FORMAT_DESCRIPTION:
                        break
                    opened = header[0]
                elif kind == START_ENCRYPTION:
                    raise BinaryLogEncrypted
                elif kind == GTID_LIST:
                    return Head(opened, state_of(self._list(body)))
                elif kind == GTID:
                    break
        raise self._invalid("it does not begin as one of MariaDB 10 or later")

    def transactions(self) -> Iterator[Transaction]:
        """Its transactions, in their order."""
        with self.path.open("rb") as stream:
            for at, header, body in self._events(stream, frozenset({GTID})):
                if header[1] == GTID:
                    number, domain = _GTID_BODY.unpack_from(body)
                    yield Transaction(at, header[0], Gtid(domain, header[2], number))

    def _events(
        self, stream: BinaryIO, wanted: frozenset[int]
    ) -> Iterator[tuple[int, tuple[int, int, int, int, int, int], bytes]]:
        """Places, headers and, of the kinds that are wanted, bodies."""
        if stream.read(len(MAGIC)) != MAGIC:
            raise self._invalid("it does not begin as one")
        at = len(MAGIC)
        while len(head := stream.read(HEADER.size)) == HEADER.size:
            header = HEADER.unpack(head)
            size = header[3]
            if size < HEADER.size:
                raise self._invalid(f"the event at byte {at} has no size")
            body = b""
            if header[1] in wanted:
                body = stream.read(min(size - HEADER.size, LARGEST_HEAD))
                if len(body) < _GTID_BODY.size and header[1] == GTID:
                    # A server that died wrote no more of it.
                    return
            yield at, header, body
            at += size
            stream.seek(at)

    def _list(self, body: bytes) -> Iterator[Gtid]:
        try:
            (flagged,) = struct.unpack_from("<I", body)
            for number in range(flagged & _COUNT_BITS):
                domain, server, last = _LIST_ENTRY.unpack_from(body, 4 + number * _LIST_ENTRY.size)
                yield Gtid(domain, server, last)
        except struct.error:
            raise self._invalid("its list of GTIDs is cut off") from None

    def _invalid(self, problem: str) -> BinaryLogInvalid:
        return BinaryLogInvalid(log=self.path.name, problem=problem)
