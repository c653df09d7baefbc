"""The strategy: backups of PostgreSQL's files while the server works on them."""

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from oslo_config import cfg

from guestagent.backup.base import BaseBackupStrategy, ChainBroken, Server, Source, Stage, Taken
from guestagent.contract.errors import DatastoreDown, NotSupported, SystemFailure
from guestagent.system import command, volume
from guestagent.system.stream import Consumer, Producer
from guestagent_pg_basebackup import chain, options, slot
from guestagent_pg_basebackup.errors import BaseInvalid
from guestagent_pg_basebackup.positions import Positions
from guestagent_pg_basebackup.remembered import Keeping, Remembered

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
PROGRAM_SECONDS = 24 * 3600

FIRST_INCREMENTAL = 17
"""The major version from which on a server tells what has changed."""
_UNBUILDABLE = re.compile(r"WAL summar|manifest|not in this server's history")
"""What the server says when it cannot tell what has changed since the backup to build on."""


class PgBaseBackup(BaseBackupStrategy):
    """``pg_basebackup``, streaming; see the package's README."""

    datastores = frozenset({"postgresql"})
    version = 1
    incremental = True

    def __init__(self, conf: cfg.ConfigOpts, server: Server) -> None:
        super().__init__(conf, server)
        options.register(conf)
        self.options = conf[options.GROUP]

    @contextlib.contextmanager
    def backup(self, parent: dict[str, Any] | None) -> Iterator[Source]:
        if self.server.credentials is None:
            raise DatastoreDown(datastore="PostgreSQL", problem="nobody says where it is")
        environment = {"PGSERVICEFILE": str(self.server.credentials)}
        major = self.server.version.partition(".")[0]
        remembered = self._remembered(major)
        begins = None if parent is None else self._begin(parent, major, remembered)
        with self.scratch(options.GROUP) as scratch, contextlib.ExitStack() as held:
            if self.options.hold_wal:
                psql = self._program(major, "psql")
                held.enter_context(slot.held(psql, SERVICE, self.server.account, environment, scratch))
            keeping = held.enter_context(remembered.keeping(MANIFEST, scratch)) if remembered else None
            argv = self._backup_argv(self._program(major, "pg_basebackup"), begins)
            with Producer(argv, user=self.server.account, environment=environment) as program:
                yield _Stream(program, self.server.version, keeping, begins)

    def restore(self, stages: Sequence[Stage], target: Path) -> None:
        known = chain.checked(stages)
        major = known[-1].major
        if len(stages) == 1:
            self._unpack(stages[0].chunks, target)
            self._see_that_it_is(known[0], target)
        else:
            self._combine(stages, known, target)
        if self.options.verify:
            self._verify(major, target)
        for name in (MANIFEST, *STANDS_BY):
            (target / name).unlink(missing_ok=True)
        self.note_positions(stages[-1].positions, target)
        # The programs leave it to the kernel when their files reach the disk.
        volume.sync(target)

    def estimate(self) -> int | None:
        """The size of the files that a full backup copies; an incremental one has fewer bytes."""
        return sum(_sizes(self.server.data_dir))

    def needed(self, streams: Sequence[int]) -> int:
        """All streams of a chain, and once more what is made of them."""
        return sum(streams) * (2 if len(streams) > 1 else 1) + SLACK

    def refuse_incremental(self) -> NoReturn:
        operation = f"an incremental backup of PostgreSQL {self.server.version}"
        raise NotSupported(operation=operation, datastore=self.server.datastore)

    def _program(self, major: str, name: str) -> str:
        return str(Path(self.options.versions_dir) / major / "bin" / name)

    def _remembered(self, major: str) -> Remembered | None:
        """What backups can build on; none: nothing, with this server or on this machine."""
        if int(major) < FIRST_INCREMENTAL or self.server.lasting_dir is None:
            return None
        return Remembered(self.server.lasting_dir, self.server.account, self.options.kept_manifests)

    def _begin(self, parent: dict[str, Any], major: str, remembered: Remembered | None) -> Path:
        """The server's manifest of the backup to build on.

        :raises NotSupported: nothing can be built on any backup.
        :raises ChainBroken: nothing can be built on that one.
        """
        if remembered is None:
            self.refuse_incremental()
        found = remembered.find(chain.begin(parent, major))
        if found is None:
            problem = "the server's manifest of the backup to build on is not on this volume any more"
            raise ChainBroken(problem=f"{problem}; make a full one")
        return found

    def _backup_argv(self, program: str, begins: Path | None) -> list[str]:
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
            *([f"--incremental={begins}"] if begins else []),
        ]

    def _combine(self, stages: Sequence[Stage], known: Sequence[Positions], target: Path) -> None:
        """Make of a chain the data directory that a full backup would have given at its end."""
        major = known[-1].major
        with self.scratch(options.GROUP) as scratch:
            directories = [scratch / str(number) for number in range(1, len(stages) + 1)]
            for stage, positions, directory in zip(stages, known, directories, strict=True):
                self.ensure(directory)
                self._unpack(stage.chunks, directory)
                self._see_that_it_is(positions, directory)
                if self.options.verify:
                    # What is made of them has the log of the last one, and is looked at too.
                    self._verify(major, directory, "--no-parse-wal")
            argv = [self._program(major, "pg_combinebackup"), "--no-sync", f"--output={target}", *map(str, directories)]
            done = command.run(argv, timeout=PROGRAM_SECONDS, user=self.server.account, accept=(0, 1))
            if done.code:
                raise BaseInvalid(problem=f"pg_combinebackup says {command.reason(done.code, done.stderr, '')}")

    def _see_that_it_is(self, positions: Positions, directory: Path) -> None:
        """See that what was unpacked is whole, and the backup that the positions are of."""
        manifest, version = directory / MANIFEST, directory / VERSION_FILE
        if not manifest.is_file() or not version.is_file():
            # What ends between two files looks whole.
            raise BaseInvalid(problem="its stream ends too early, or is none of pg_basebackup")
        if positions.manifest is not None:
            with manifest.open("rb") as content:
                found = hashlib.file_digest(content, "sha256").hexdigest()
            if found != positions.manifest:
                raise BaseInvalid(problem="its stream is that of another one")

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

    def _verify(self, major: str, directory: Path, *how: str) -> None:
        """See that the files are those that the server has listed, and that its log is all there."""
        argv = [self._program(major, "pg_verifybackup"), "--quiet", "--exit-on-error", *how, str(directory)]
        done = command.run(argv, timeout=PROGRAM_SECONDS, user=self.server.account, accept=(0, 1))
        if done.code:
            raise BaseInvalid(problem=f"pg_verifybackup says {command.reason(done.code, done.stderr, '')}")


class _Stream:
    """A backup that is being made.

    :param keeping: keeps the server's manifest of it; none: nothing will build on it.
    :param begins: the manifest of the backup that it builds on; none: it stands by itself.
    """

    def __init__(self, program: Producer, server_version: str, keeping: Keeping | None, begins: Path | None) -> None:
        self._program = program
        self._server_version = server_version
        self._keeping = keeping
        self._begins = begins

    def read(self, size: int) -> bytes:
        chunk = self._program.read(size)
        if self._keeping:
            self._keeping.look(chunk)
        return chunk

    def finish(self) -> Taken:
        try:
            said = self._program.finish()
        except SystemFailure as error:
            if self._begins and _UNBUILDABLE.search(str(error)):
                raise ChainBroken(problem=f"{error.facts['problem']}; make a full one") from error
            raise
        manifest = self._keeping.keep() if self._keeping else None
        parent_manifest = self._begins.name if self._begins else None
        made = Positions.told(said, self._server_version, manifest, parent_manifest)
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
