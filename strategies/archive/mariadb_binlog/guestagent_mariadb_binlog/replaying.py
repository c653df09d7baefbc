"""Making the changes of binary logs once more: which of them, and by whom."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from guestagent.backup.archive import Piece
from guestagent.contract.errors import SystemFailure
from guestagent.system.stream import Consumer, Producer
from guestagent_mariadb_binlog import events
from guestagent_mariadb_binlog.errors import ReplayFailed
from guestagent_mariadb_binlog.events import BinaryLog, Gtid

CHUNK = 1 << 18


class Stop:
    """Where in the last log to stop: the beginning of the first transaction that is left out.

    :param start: what is before this byte is in the backup.
    :param before: seconds since the epoch; a transaction of that time or later is left out, and all after it.
    :param last: the last transaction that is made.
    :raises ReplayFailed: it is not there.

    :ivar place: the byte at which that one begins; none: nothing is left out.
    :ivar gtids: the last transactions that are made, by domain and server.
    """

    def __init__(self, log: BinaryLog, start: int, before: float | None, last: Gtid | None) -> None:
        self.place: int | None = None
        self.gtids = dict(log.head().before)
        is_reached = False
        for one in log.transactions():
            if one.place >= start and (is_reached or (before is not None and one.time >= before)):
                self.place = one.place
                break
            self.gtids[one.gtid.domain, one.gtid.server] = one.gtid.number
            is_reached = one.gtid == last
        if last is not None and not is_reached:
            raise ReplayFailed(log=log.path.name, problem=f"there is no transaction {last} in it")


class Replay:
    """Feeds a client with what is in binary logs.

    :param program: makes statements of a log.
    :param account: whom it runs as.
    :param scratch: takes what of a log is no statement.
    """

    def __init__(self, program: str, account: str | None, scratch: Path, client: Consumer) -> None:
        self._program = program
        self._account = account
        self._scratch = scratch
        self._client = client

    def make(self, pieces: Iterable[Piece], start: int, before: float | None, last: Gtid | None) -> dict[str, Any]:
        """Make the changes; arguments as those of :class:`Stop`, about the first piece and the last one.

        :returns: where the data stand then, as a backup strategy would say it.
        :raises ReplayFailed: a log holds something else, or the server refuses what is in it.
        """
        stands: dict[str, Any] = {}
        for piece in pieces:
            end = None
            if piece.last:
                stop = Stop(BinaryLog(piece.path), start, before, last)
                end = stop.place
                place = {"file": piece.name.rpartition("-")[0], "position": end or piece.path.stat().st_size}
                stands = {"binlog": place, "gtid": events.newest(stop.gtids)}
            if end is None or start < end:
                self._feed(piece, start, end)
            start = 0
        try:
            self._client.finish()
        except SystemFailure as error:
            raise _refused(piece.name, error) from error
        return stands

    def _feed(self, piece: Piece, start: int, end: int | None) -> None:
        argv = [
            self._program,
            "--no-defaults",
            "--verify-binlog-checksum",
            # Who set numbers of transactions by hand may have set them in any order.
            "--loose-skip-gtid-strict-mode",
            f"--local-load={self._scratch}",
            *([f"--start-position={start}"] if start else []),
            *([f"--stop-position={end}"] if end is not None else []),
            str(piece.path),
        ]
        with Producer(argv, user=self._account) as program:
            while chunk := program.read(CHUNK):
                try:
                    self._client.write(chunk)
                except SystemFailure as error:
                    raise _refused(piece.name, error) from error
            try:
                program.finish()
            except SystemFailure as error:
                raise ReplayFailed(log=piece.name, problem=error.facts["problem"]) from error


def _refused(log: str, error: SystemFailure) -> ReplayFailed:
    # The client repeats the statement before it says what is wrong with it.
    _, found, said = str(error.facts["problem"]).rpartition(" / ERROR ")
    return ReplayFailed(log=log, problem=f"the server refused it: {'error ' if found else ''}{said}")
