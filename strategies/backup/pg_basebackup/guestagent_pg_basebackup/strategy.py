"""The strategy: backups of PostgreSQL's files while the server works on them."""

import contextlib
import hashlib
import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from oslo_config import cfg

from guestagent.backup.base import BaseBackupStrategy, ChainBroken, Server, Source, Stage, Taken
from guestagent.contract.errors import DatastoreDown, DatastoreError, NotSupported, SystemFailure
from guestagent.system import command, volume
from guestagent.system.stream import Consumer
from guestagent_pg_basebackup import base_backup, chain, options
from guestagent_pg_basebackup.base_backup import MANIFEST, BaseBackup
from guestagent_pg_basebackup.errors import BaseInvalid
from guestagent_pg_basebackup.positions import Positions
from guestagent_pg_basebackup.remembered import Remembered
from guestagent_pg_basebackup.session import DATASTORE, Address, Session

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
    """What ``pg_basebackup`` does, in the server's own protocol; see the package's README."""

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
            raise DatastoreDown(datastore=DATASTORE, problem="nobody says where it is")
        major = self.server.version.partition(".")[0]
        if int(major) < base_backup.FIRST:
            raise NotSupported(operation=f"a backup of PostgreSQL {major}", datastore=self.server.datastore)
        remembered = self._remembered(major)
        begins = None if parent is None else self._begin(parent, major, remembered)
        with (
            self.scratch(options.GROUP) as scratch,
            tempfile.TemporaryFile(dir=scratch) as manifest,
            Session(Address.read(self.server.credentials), base_backup.SUBJECT) as session,
        ):
            if self.options.hold_wal:
                # It belongs to the session, and goes with it, also when everything here is killed.
                slot = f"guestagent_backup_{secrets.token_hex(4)}"
                session.execute(f'CREATE_REPLICATION_SLOT "{slot}" TEMPORARY PHYSICAL (RESERVE_WAL)')
            made = self._started(session, begins, manifest)
            yield _Stream(made, manifest, self.server.version, remembered, begins)

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

    def is_checksummed(self) -> bool:
        """With the server's manifest, if it is looked at."""
        return bool(self.options.verify)

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

    def _started(self, session: Session, begins: Path | None, manifest: BinaryIO) -> BaseBackup:
        """Let the server begin.

        :raises ChainBroken: it cannot tell what has changed since the backup to build on.
        """
        try:
            if begins:
                with begins.open("rb") as content:
                    session.send("UPLOAD_MANIFEST", content)
            return BaseBackup(session, self._command(incremental=begins is not None), manifest)
        except DatastoreError as error:
            if begins and _UNBUILDABLE.search(str(error)):
                raise ChainBroken(problem=f"{error.facts['problem']}; make a full one") from error
            raise

    def _command(self, *, incremental: bool) -> str:
        wanted = [
            "LABEL 'guestagent'",
            f"CHECKPOINT '{self.options.checkpoint}'",
            "MANIFEST 'yes'",
            # It holds the log that it needs, and does not wait until that is archived too.
            "WAL",
            "WAIT false",
            *([f"MAX_RATE {self.options.max_rate}"] if self.options.max_rate else []),
            *(["INCREMENTAL"] if incremental else []),
        ]
        return f"BASE_BACKUP ({', '.join(wanted)})"

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

    :param manifest: has the server's manifest at the end.
    :param remembered: takes the manifest; none: nothing will build on the backup.
    :param begins: the manifest of the backup that it builds on; none: it stands by itself.
    """

    def __init__(
        self,
        backup: BaseBackup,
        manifest: BinaryIO,
        server_version: str,
        remembered: Remembered | None,
        begins: Path | None,
    ) -> None:
        self.read = backup.read
        self._backup = backup
        self._manifest = manifest
        self._server_version = server_version
        self._remembered = remembered
        self._begins = begins

    def finish(self) -> Taken:
        made = self._backup.finish()
        if self._remembered:
            self._remembered.keep(made.manifest, self._manifest)
        positions = Positions(
            start_lsn=made.start_lsn,
            end_lsn=made.end_lsn,
            timeline=made.timeline,
            server_version=self._server_version,
            manifest=made.manifest if self._remembered else None,
            parent_manifest=self._begins.name if self._begins else None,
        )
        return Taken(positions.kept(), time.time())


def _sizes(data_dir: Path) -> Iterator[int]:
    """The sizes of the files of a data directory that a backup copies."""
    for folder, folders, names in os.walk(data_dir):
        if LOG_DIRECTORY in folders:
            folders.remove(LOG_DIRECTORY)
        for name in names:
            # Tables come and go meanwhile.
            with contextlib.suppress(FileNotFoundError):
                yield (Path(folder) / name).lstat().st_size
