"""The strategy: backups of MariaDB's files while the server works on them."""

import contextlib
import os
import re
import resource
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from oslo_config import cfg

from guestagent.backup.base import BaseBackupStrategy, Server, Source, Stage, Taken
from guestagent.contract.errors import DatastoreDown, DatastoreError, SystemFailure
from guestagent.system.stream import Consumer, Producer
from guestagent_mariabackup import chain, options, positions
from guestagent_mariabackup.errors import StreamInvalid
from guestagent_mariabackup.positions import Notes, Positions
from guestagent_mariabackup.syncing import Syncing
from guestagent_mariabackup.unpacking import unpack

SETTINGS = "backup-my.cnf"
"""Where mariadb-backup writes down what shapes the data."""

OPEN_FILES = 65536
"""A server with many tables has many files, which a backup holds open; the system may allow fewer."""
DRAIN = 1 << 16
SLACK = 64 << 20
"""Bytes that preparing a backup adds to it: temporary tablespaces and new logs."""

COPIED = frozenset(
    f".{ending}"
    for kind in ("arm arz", "csm csv", "frm opt par trg trn", "ibd isl", "mad mai", "mrg myd myi")
    for ending in kind.split()
)
"""The endings of the files of tables, in lower case."""
_SYSTEM_FILES = re.compile(r"(ibdata|undo|aria_log)[^/]*")
_PREPARED = frozenset({"log-applied", "full-prepared"})
_SHAPES = re.compile(
    r"^(innodb_(?:checksum_algorithm|data_file_path|log_block_size|page_size|undo_tablespaces))=([\w:;.]+)$",
    re.MULTILINE,
)
"""The options of the backed-up server without which its data are not what they are, and values that name no other
directory."""
_SYSTEM_SPACE = re.compile(r"^innodb_data_file_path=([^:;\s]+)", re.MULTILINE)


class MariaBackup(BaseBackupStrategy):
    """``mariadb-backup``, streaming; see the package's README."""

    datastores = frozenset({"mariadb"})
    version = 1
    incremental = True
    foreign = frozenset({"xbstream"})

    def __init__(self, conf: cfg.ConfigOpts, server: Server) -> None:
        super().__init__(conf, server)
        options.register(conf)
        self.options = conf[options.GROUP]

    @contextlib.contextmanager
    def backup(self, parent: dict[str, Any] | None) -> Iterator[Source]:
        begins = chain.begin(parent)
        with self.scratch(options.GROUP) as scratch:
            argv = self._backup_argv(scratch, begins)
            with Producer(
                argv, user=self.server.account, environment=positions.UTC, log_file=self._log_file()
            ) as program:
                yield _Stream(program, scratch / "lsn", begins)

    def restore(self, stages: Sequence[Stage], target: Path) -> None:
        known = chain.checked(stages)
        log_file = self._log_file()
        made: list[Positions] = []
        with self.scratch(options.GROUP) as scratch, Syncing(target) as disk:
            for number, (stage, expected) in enumerate(zip(stages, known, strict=True), 1):
                increment = scratch / "increment" if stage.incremental else None
                if increment:
                    self.ensure(increment)
                self._unpack(stage, increment or target, number, log_file, disk)
                found = Notes(increment or target).positions()
                if expected not in (None, found):
                    raise StreamInvalid(number=number, problem="its stream is that of another one")
                chain.see_that_it_fits(number, stage, made[-1] if made else None, found)
                self._prepare(target, increment, scratch, log_file)
                if increment:
                    shutil.rmtree(increment)
                made.append(found)
            self._finish(target, made[-1])
            disk.finish()

    def estimate(self) -> int | None:
        """The size of the files that a full backup copies; an incremental one has fewer bytes."""
        return _copied_bytes(self.server.data_dir)

    def needed(self, streams: Sequence[int]) -> int:
        """All streams together: what an increment brings mostly replaces what is there."""
        return sum(streams) + SLACK

    def _backup_argv(self, scratch: Path, begins: int | None) -> list[str]:
        if self.server.credentials is None:
            raise DatastoreDown(datastore="MariaDB", problem="there are no credentials for it")
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        return [
            self.options.program,
            # No other file is read, so that nothing in the image's changes what a backup is.
            f"--defaults-file={self.server.credentials}",
            "--backup",
            "--stream=xbstream",
            f"--datadir={self.server.data_dir}",
            f"--target-dir={scratch}",
            f"--tmpdir={scratch}",
            f"--extra-lsndir={scratch / 'lsn'}",
            f"--open-files-limit={OPEN_FILES if most == resource.RLIM_INFINITY else min(most, OPEN_FILES)}",
            f"--parallel={self.options.parallel}",
            *([f"--throttle={self.options.throttle}"] if self.options.throttle else []),
            *([f"--incremental-lsn={begins}"] if begins is not None else []),
        ]

    def _unpack(self, stage: Stage, directory: Path, number: int, log_file: Path | None, disk: Syncing) -> None:
        argv = [self.options.unpack_program, "-x", "-C", str(directory), "-p", str(self.options.parallel)]
        with Consumer(argv, user=self.server.account, log_file=log_file) as program:
            unpack(stage.chunks, program, directory, number, disk)

    def _prepare(self, target: Path, increment: Path | None, scratch: Path, log_file: Path | None) -> None:
        """Make the files fit each other, as a server does that starts after a crash."""
        argv = [
            self.options.program,
            # The file with options that comes with the data could say anything; what shapes the data is taken from it.
            "--no-defaults",
            "--prepare",
            f"--target-dir={target}",
            f"--tmpdir={scratch}",
            f"--use-memory={self.options.use_memory}M",
            *_format(target),
            *([f"--incremental-dir={increment}"] if increment else []),
        ]
        with Producer(argv, user=self.server.account, log_file=log_file) as program:
            while program.read(DRAIN):
                pass
            program.finish()

    def _finish(self, target: Path, position: Positions) -> None:
        kind = Notes(target).checkpoints.get("backup_type", "nothing")
        if kind not in _PREPARED:
            problem = f"mariadb-backup left the data '{kind}'"
            raise DatastoreError(subject="Preparing the backup", problem=problem)
        settings = target / SETTINGS
        found = _SYSTEM_SPACE.search(settings.read_text()) if settings.is_file() else None
        name = found[1] if found else "ibdata1"
        if not (target / name).is_file():
            raise DatastoreError(subject="Preparing the backup", problem=f"there is no file '{name}' in it")
        for path in positions.left_overs(target):
            path.unlink()
        self.note_positions(position.kept(), target)

    def _log_file(self) -> Path | None:
        """The log, without what an earlier backup or restore left in it."""
        if not self.options.log_file:
            return None
        path = Path(self.options.log_file)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise SystemFailure(subject=f"Emptying {path}", problem=str(error.strerror)) from None
        return path


class _Stream:
    """A backup that is being made.

    :param notes: where mariadb-backup writes what it knows of it, at the end.
    :param begins: where it is to begin; none: it stands by itself.
    """

    def __init__(self, program: Producer, notes: Path, begins: int | None) -> None:
        self._program = program
        self._notes = notes
        self._begins = begins

    def read(self, size: int) -> bytes:
        return self._program.read(size)

    def finish(self) -> Taken:
        self._program.finish()
        notes = Notes(self._notes)
        made = notes.positions()
        if self._begins is not None:
            chain.see_that_it_continues(self._begins, made)
        return Taken(made.kept(), notes.ended())


def _format(target: Path) -> list[str]:
    """What the server of a backup was told about the shape of its data."""
    settings = target / SETTINGS
    text = settings.read_text(errors="replace") if settings.is_file() else ""
    return [f"--{name.replace('_', '-')}={value}" for name, value in _SHAPES.findall(text)]


def _copied_bytes(data_dir: Path) -> int:
    """The size of the files of a data directory that a backup copies whole."""
    total = 0
    for folder, _, names in os.walk(data_dir):
        for name in names:
            if Path(name).suffix.lower() in COPIED or _SYSTEM_FILES.fullmatch(name):
                # Tables come and go meanwhile.
                with contextlib.suppress(FileNotFoundError):
                    total += (Path(folder) / name).lstat().st_size
    return total
