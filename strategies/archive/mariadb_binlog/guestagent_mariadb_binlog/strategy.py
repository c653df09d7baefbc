"""The strategy: which binary logs are closed, and what it takes to replay them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from oslo_config import cfg

from guestagent.backup.archive import BaseArchiveStrategy, Log, Piece, Point
from guestagent.backup.base import Server
from guestagent.contract.errors import DatastoreDown, DatastoreError, InvalidValue, SystemFailure
from guestagent.system import command, volume
from guestagent_mariadb_binlog import events, options
from guestagent_mariadb_binlog.errors import BinaryLogEncrypted, BinaryLogFiltered, NoBinaryLog
from guestagent_mariadb_binlog.events import BinaryLog, Gtid, Head
from guestagent_mariadb_binlog.replay_server import ReplayServer
from guestagent_mariadb_binlog.replaying import Replay

BASENAME = "agent_binlog"
"""What [mariadb] binary_log calls the log. One of another name is the user's, who could turn it off and on unseen."""
ASK = ("--batch", "--skip-column-names", "--raw")


class MariaDBBinlog(BaseArchiveStrategy):
    """MariaDB's binary logs; see the package's README."""

    datastores = frozenset({"mariadb"})
    version = 1

    def __init__(self, conf: cfg.ConfigOpts, server: Server) -> None:
        super().__init__(conf, server)
        options.register(conf)
        self.options = conf[options.GROUP]

    def close(self) -> None:
        [[is_on, basename, data_dir, is_encrypted, written]] = self._ask(
            "SELECT @@log_bin, @@log_bin_basename, @@datadir, @@encrypt_binlog, @@gtid_binlog_state;"
        )
        if is_on != "1" or Path(basename) != Path(data_dir) / BASENAME:
            raise NoBinaryLog
        if is_encrypted != "0":
            raise BinaryLogEncrypted
        [[present, _, only, ignored]] = self._ask("SHOW MASTER STATUS;")
        if only or ignored:
            raise BinaryLogFiltered(databases=only or ignored)
        if events.state_of(events.parse(written)) != BinaryLog(Path(basename).parent / present).head().before:
            self._ask("FLUSH LOCAL BINARY LOGS;")

    def closed(self) -> Sequence[Log]:
        [[basename]] = self._ask("SELECT @@log_bin_basename;")
        paths = [Path(basename).parent / name for name in self._names()]
        heads = [BinaryLog(path).head() for path in paths]
        names = [_name(path, head) for path, head in zip(paths, heads, strict=True)]
        return [
            Log(
                name=names[at],
                ends=names[at + 1],
                opened=heads[at].opened,
                closed=heads[at + 1].opened,
                size=path.stat().st_size,
                positions=_positions(paths[at + 1].name, heads[at + 1]),
                path=path,
            )
            for at, path in enumerate(paths[:-1])
        ]

    def release(self, logs: Sequence[Log]) -> None:
        # The runtime has seen that its name holds no quote.
        self._ask(f"PURGE BINARY LOGS TO '{_file(logs[-1].ends)}';")

    def check(self, point: Point) -> None:
        if point.position is not None:
            _gtid(point.position)
        elif point.time is not None and point.time != int(point.time):
            problem = "binary logs know whole seconds; name a transaction by its GTID to be exact"
            raise InvalidValue(subject=f"The time {point}", problem=problem)

    def begins_in(self, positions: dict[str, Any], name: str) -> bool:
        return _file(name) == _place(positions)[0]

    def has(self, positions: dict[str, Any], position: str) -> bool:
        wanted = _gtid(position)
        if "gtid_state" in positions:
            # Of the end of a log all servers are known, and one that is not there has written nothing.
            state = events.state_of(events.parse(positions["gtid_state"]))
            return state.get((wanted.domain, wanted.server), -1) >= wanted.number
        return any(
            one.domain == wanted.domain and one.number >= wanted.number
            for one in events.parse(positions.get("gtid") or "")
        )

    def spelled(self, positions: dict[str, Any]) -> str | None:
        found = positions.get("gtid")
        return f"GTID {found}" if found else None

    def replay(self, positions: dict[str, Any], pieces: Iterator[Piece], point: Point, target: Path) -> None:
        gtid = None if point.position is None else _gtid(point.position)
        _, start = _place(positions)
        with self.scratch(options.GROUP) as scratch:
            server = ReplayServer(
                program=self.options.server_program,
                client=self.options.client_program,
                server=self.server,
                scratch=scratch,
                memory=self.options.use_memory,
                timeout=self.options.start_timeout,
            )
            with server.running(target) as client:
                replay = Replay(self.options.binlog_program, self.server.account, scratch, client)
                stands = replay.make(pieces, start, point.time, gtid)
        self.note_positions(stands, target)
        # The programs leave it to the kernel when their files reach the disk.
        volume.sync(target)

    def _names(self) -> list[str]:
        """The files that the server has, oldest first; the last one is written to."""
        return [row[0] for row in self._ask("SHOW BINARY LOGS;")]

    def _ask(self, statement: str) -> list[list[str]]:
        if self.server.credentials is None:
            raise DatastoreDown(datastore="MariaDB", problem="there are no credentials for it")
        argv = [self.options.client_program, f"--defaults-file={self.server.credentials}", *ASK]
        timeout = self.options.statement_timeout
        try:
            done = command.run(argv, stdin=statement.encode(), timeout=timeout, user=self.server.account)
        except SystemFailure as error:
            raise DatastoreError(subject="Asking for the binary logs", problem=str(error.facts["problem"])) from error
        return [line.split("\t") for line in done.stdout.splitlines()]


def _name(path: Path, head: Head) -> str:
    """A server that was told to begin anew uses its files' names again, but later."""
    return f"{path.name}-{head.opened}"


def _file(name: str) -> str:
    return name.rpartition("-")[0]


def _positions(file: str, head: Head) -> dict[str, Any]:
    return {
        "binlog": {"file": file, "position": len(events.MAGIC)},
        "gtid": events.newest(head.before),
        "gtid_state": events.spelled(head.before),
    }


def _place(positions: dict[str, Any]) -> tuple[str, int]:
    """Where a backup stands in the binary log."""
    binlog = positions.get("binlog")
    if not isinstance(binlog, dict):
        raise InvalidValue(subject="The backup", problem="it was made of a server that wrote no binary log")
    return str(binlog["file"]), int(binlog["position"])


def _gtid(text: str) -> Gtid:
    try:
        [found] = events.parse(text)
    except ValueError:
        problem = "it is neither a time nor one GTID, as 0-1-42"
        raise InvalidValue(subject=f"The point {text[:64]!r}", problem=problem) from None
    return found
