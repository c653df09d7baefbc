"""The strategy: which files of the write-ahead log are closed, and what it takes to replay them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from oslo_config import cfg
from oslo_log import log

from guestagent.backup.archive import BaseArchiveStrategy, Log, Piece, Point
from guestagent.backup.base import Server
from guestagent.contract.errors import DatastoreDown, DatastoreError, InvalidValue, SystemFailure
from guestagent.system import command, volume
from guestagent_postgresql_wal import options, segments
from guestagent_postgresql_wal.errors import SegmentSizeUnknown
from guestagent_postgresql_wal.replaying import Replay
from guestagent_postgresql_wal.segments import Segment

LOG = log.getLogger(__name__)

SERVICE = "guestagent"
"""The name that the credentials have for the server."""
SLOT = "guestagent_archive"
"""The replication slot that keeps the server from removing what is not archived."""
_THE_SLOT = f"pg_replication_slots WHERE slot_name = '{SLOT}'"
SLACK_SECONDS = 60.0
"""So much earlier than a file was written last may something be that was done after what is in it."""
LONGEST_NAME = 63
_NAME = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]+")


class PostgreSQLWal(BaseArchiveStrategy):
    """PostgreSQL's write-ahead log; see the package's README."""

    datastores = frozenset({"postgresql"})
    version = 1

    def __init__(self, conf: cfg.ConfigOpts, server: Server) -> None:
        super().__init__(conf, server)
        options.register(conf)
        self.options = conf[options.GROUP]

    def close(self) -> None:
        [[size]] = self._ask("SHOW wal_segment_size;")
        if size != "16MB":
            raise SegmentSizeUnknown(size=size)
        self._hold()
        [[present]] = self._ask("SELECT pg_walfile_name(pg_current_wal_insert_lsn());")
        if self._ends(present) is not None:
            self._ask("SELECT pg_switch_wal();")

    def closed(self) -> Sequence[Log]:
        [[begin]] = self._ask(f"SELECT restart_lsn FROM {_THE_SLOT};")  # noqa: S608  our own text
        [[present, system]] = self._ask(
            "SELECT pg_walfile_name(pg_current_wal_insert_lsn()), system_identifier FROM pg_control_system();"
        )
        last = _segment(present)
        first = segments.Segment.at(last.timeline, segments.parse(begin) or 0)
        found: list[Log] = []
        opened: float | None = None
        for number in range(first.number, last.number):
            one = Segment(last.timeline, number)
            path = self._path(one.name)
            if not path.exists():
                continue
            status = path.stat()
            ends = self._ends(one.name)
            closed = ends[1] if ends else opened or status.st_mtime - SLACK_SECONDS
            found.append(
                Log(
                    name=f"{one.name}-{system}",
                    ends=f"{one.next.name}-{system}",
                    opened=opened if opened is not None else ends[0] if ends else closed,
                    closed=closed,
                    size=status.st_size,
                    positions={"end_lsn": segments.spelled(one.next.begins), "timeline": one.timeline},
                    path=path,
                )
            )
            opened = closed
        return found

    def release(self, logs: Sequence[Log]) -> None:
        end = str(logs[-1].positions["end_lsn"])
        self._ask(f"SELECT pg_replication_slot_advance('{SLOT}', '{end}');")

    def check(self, point: Point) -> None:
        position = point.position
        if position is not None and (not _NAME.fullmatch(position) or len(position.encode()) > LONGEST_NAME):
            problem = "it is neither a time, nor an LSN as 0/3000148, nor the name of a restore point"
            raise InvalidValue(subject=f"The point {position[:64]!r}", problem=problem)

    def begins_in(self, positions: dict[str, Any], name: str) -> bool:
        timeline, end = _place(positions)
        # What ends where a file begins is followed by nothing of the file before.
        return Segment.at(timeline, end - 1).name == name.partition("-")[0]

    def has(self, positions: dict[str, Any], position: str) -> bool | None:
        wanted = segments.parse(position)
        return None if wanted is None else _place(positions)[1] >= wanted

    def spelled(self, positions: dict[str, Any]) -> str | None:
        return f"LSN {positions['end_lsn']}" if "end_lsn" in positions else None

    def replay(self, positions: dict[str, Any], pieces: Iterator[Piece], point: Point, target: Path) -> None:
        major = (target / "PG_VERSION").read_text().strip()
        with self.scratch(options.GROUP) as scratch:
            programs = Path(self.options.versions_dir) / major / "bin"
            replay = Replay(programs, self.server, scratch, self.options.memory, self.options.replay_timeout)
            stands = replay.make(pieces, point, target)
        self.note_positions(stands, target)
        # The server has synced what it wrote, and the restore before it what it did not.
        volume.sync(target)

    def _hold(self) -> None:
        """Keep the server from removing log from now on; one that has removed some already begins anew."""
        found = self._ask(f"SELECT wal_status FROM {_THE_SLOT};")  # noqa: S608  our own text
        if found == [["lost"]]:
            LOG.critical(
                "PostgreSQL has removed log that was not archived, because more waited than max_slot_wal_keep_size: "
                "there is a gap in what can be recovered until the next backup; make one"
            )
            self._ask(f"SELECT pg_drop_replication_slot('{SLOT}');")
        if found in ([], [["lost"]]):
            self._ask(f"SELECT pg_create_physical_replication_slot('{SLOT}', true);")

    def _ends(self, name: str) -> tuple[float, float] | None:
        program = self._program("pg_waldump")
        return segments.ends(program, self._path(name), self.server.account)

    def _path(self, name: str) -> Path:
        return self.server.data_dir / "pg_wal" / name

    def _program(self, name: str) -> str:
        return str(Path(self.options.versions_dir) / self.server.version.partition(".")[0] / "bin" / name)

    def _ask(self, statement: str) -> list[list[str]]:
        if self.server.credentials is None:
            raise DatastoreDown(datastore="PostgreSQL", problem="nobody says where it is")
        argv = [self._program("psql"), "--no-psqlrc", "--no-password", "--quiet", "--tuples-only", "--no-align"]
        argv += ["--field-separator=\t", "--set=ON_ERROR_STOP=1", f"--dbname=service={SERVICE}"]
        environment: Mapping[str, str] = {"PGSERVICEFILE": str(self.server.credentials)}
        timeout, user = self.options.statement_timeout, self.server.account
        try:
            done = command.run(argv, stdin=statement.encode(), timeout=timeout, user=user, environment=environment)
        except SystemFailure as error:
            raise DatastoreError(subject="Asking for the log", problem=str(error.facts["problem"])) from error
        return [line.split("\t") for line in done.stdout.splitlines()]


def _segment(name: str) -> Segment:
    found = Segment.named(name)
    if found is None:
        raise DatastoreError(subject="Asking for the log", problem=f"{name[:64]!r} is no file of it")
    return found


def _place(positions: dict[str, Any]) -> tuple[int, int]:
    """Where a backup, or the end of a log, stands."""
    end = segments.parse(str(positions.get("end_lsn", "")))
    if end is None:
        raise InvalidValue(subject="The backup", problem="it does not say where it ends in the write-ahead log")
    return int(positions["timeline"]), end
