"""The strategy: backups of PostgreSQL's files while the server works on them."""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from oslo_config import cfg

from guestagent.backup.base import BaseBackupStrategy, Server, Source, Stage, Taken
from guestagent.contract.errors import DatastoreDown, InvalidValue, NotSupported, SystemFailure
from guestagent.system import command, volume
from guestagent.system.stream import Consumer, Producer
from guestagent_pg_basebackup import options, slot
from guestagent_pg_basebackup.errors import BaseInvalid
from guestagent_pg_basebackup.positions import Positions

SERVICE = "guestagent"
"""The name that the credentials have for the server."""
MANIFEST = "backup_manifest"
"""The server's own list of the files; the last one of a stream."""
VERSION_FILE = "PG_VERSION"
STANDS_BY = ("standby.signal", "recovery.signal")

LOG_DIRECTORY = "pg_wal"
"""Of which a backup has only what it needs."""
TAR = ("tar", "--extract", "--no-same-owner", "--preserve-permissions", "--file=-")
SLACK = 128 << 20
"""Bytes that a server adds to a restored directory before it does anything: new write-ahead log."""
VERIFY_SECONDS = 24 * 3600


class PgBaseBackup(BaseBackupStrategy):
    """``pg_basebackup``, streaming; see the package's README."""

    datastores = frozenset({"postgresql"})
    version = 1

    def __init__(self, conf: cfg.ConfigOpts, server: Server) -> None:
        super().__init__(conf, server)
        options.register(conf)
        self.options = conf[options.GROUP]

    @contextlib.contextmanager
    def backup(self, parent: dict[str, Any] | None) -> Iterator[Source]:
        if parent is not None:
            self.refuse_incremental()
        if self.server.credentials is None:
            raise DatastoreDown(datastore="PostgreSQL", problem="nobody says where it is")
        environment = {"PGSERVICEFILE": str(self.server.credentials)}
        major = self.server.version.partition(".")[0]
        with self.scratch(options.GROUP) as scratch, contextlib.ExitStack() as held:
            if self.options.hold_wal:
                psql = self._program(major, "psql")
                held.enter_context(slot.held(psql, SERVICE, self.server.account, environment, scratch))
            argv = self._backup_argv(self._program(major, "pg_basebackup"))
            with Producer(argv, user=self.server.account, environment=environment) as program:
                yield _Stream(program, self.server.version)

    def restore(self, stages: Sequence[Stage], target: Path) -> None:
        if len(stages) != 1 or stages[0].incremental:
            raise InvalidValue(subject="The chain of backups", problem="a base backup stands by itself")
        self._unpack(stages[0].chunks, target)
        if not (target / MANIFEST).is_file() or not (target / VERSION_FILE).is_file():
            # What ends between two files looks whole.
            raise BaseInvalid(problem="its stream ends too early, or is none of pg_basebackup")
        if self.options.verify:
            self._verify(target)
        for name in (MANIFEST, *STANDS_BY):
            (target / name).unlink(missing_ok=True)
        self.note_positions(stages[0].positions, target)
        # tar leaves it to the kernel when its files reach the disk.
        volume.sync(target)

    def estimate(self) -> int | None:
        """The size of the files that a backup copies."""
        return sum(_sizes(self.server.data_dir))

    def needed(self, streamed: int) -> int:
        return streamed + SLACK

    def refuse_incremental(self) -> None:
        operation = f"an incremental backup of PostgreSQL {self.server.version}"
        raise NotSupported(operation=operation, datastore=self.server.datastore)

    def _program(self, major: str, name: str) -> str:
        return str(Path(self.options.versions_dir) / major / "bin" / name)

    def _backup_argv(self, program: str) -> list[str]:
        return [
            program,
            f"--dbname=service={SERVICE}",
            "--no-password",
            "--pgdata=-",
            "--format=tar",
            "--wal-method=fetch",
            f"--checkpoint={self.options.checkpoint}",
            "--label=guestagent",
            "--verbose",
            *([f"--max-rate={self.options.max_rate}k"] if self.options.max_rate else []),
        ]

    def _unpack(self, chunks: Iterable[bytes], target: Path) -> None:
        with Consumer([*TAR, f"--directory={target}"], user=self.server.account) as program:
            try:
                for chunk in chunks:
                    program.write(chunk)
                program.finish()
            except SystemFailure as error:
                if error.facts["subject"] != program.program:
                    raise
                raise BaseInvalid(problem=f"unpacking its stream failed: {error.facts['problem']}") from error

    def _verify(self, target: Path) -> None:
        """See that the files are those that the server has listed, and that its log is all there."""
        major = (target / VERSION_FILE).read_text().strip()
        argv = [self._program(major, "pg_verifybackup"), "--quiet", "--exit-on-error", str(target)]
        done = command.run(argv, timeout=VERIFY_SECONDS, user=self.server.account, accept=(0, 1))
        if done.code:
            raise BaseInvalid(problem=f"pg_verifybackup says {command.reason(done.code, done.stderr, '')}")


class _Stream:
    """A backup that is being made."""

    def __init__(self, program: Producer, server_version: str) -> None:
        self._program = program
        self._server_version = server_version

    def read(self, size: int) -> bytes:
        return self._program.read(size)

    def finish(self) -> Taken:
        made = Positions.told(self._program.finish(), self._server_version)
        return Taken(made.kept(), time.time())


def _sizes(data_dir: Path) -> Iterator[int]:
    """The sizes of the files of a data directory that a backup copies."""
    for folder, folders, names in os.walk(data_dir):
        if LOG_DIRECTORY in folders:
            folders.remove(LOG_DIRECTORY)
        for name in names:
            # Tables come and go meanwhile.
            with contextlib.suppress(FileNotFoundError):
                yield (Path(folder) / name).lstat().st_size
