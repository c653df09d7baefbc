"""The strategy: a dump of all databases and users, and a server of its own that carries it out."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from oslo_config import cfg

from guestagent.backup.base import BaseBackupStrategy, Server, Source, Stage, Taken
from guestagent.contract.errors import DatastoreDown, DatastoreError, SystemFailure
from guestagent.system import command, volume
from guestagent.system.stream import Producer
from guestagent_mariadb_dump import options
from guestagent_mariadb_dump.errors import StreamInvalid
from guestagent_mariadb_dump.landmarks import SIGN_BYTES, Landmarks
from guestagent_mariadb_dump.nursery import Nursery

NOT_DUMPED = ("mysql", "sys")
"""Databases whose tables belong to one version of the server; what is in them goes as statements."""
SYSTEM = ("plugins", "udfs", "users", "servers", "timezones")
"""Those statements."""
ASK_SECONDS = 60
GROWTH = 2
EMPTY_BYTES = 256 << 20
"""A data directory without data."""


class MariaDBDump(BaseBackupStrategy):
    """``mariadb-dump``; see the package's README."""

    datastores = frozenset({"mariadb"})
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
            raise DatastoreDown(datastore="MariaDB", problem="there are no credentials for it")
        with Producer(self._dump_argv(self.server.credentials), user=self.server.account) as program:
            yield _Stream(program)

    def restore(self, stages: Sequence[Stage], target: Path) -> None:
        if len(stages) != 1 or stages[0].incremental:
            self.refuse_incremental()
        with self.scratch(options.GROUP) as scratch:
            nursery = Nursery(
                install=self.options.install_program,
                server=self.options.server_program,
                client=self.options.client_program,
                options=self.options.server_options,
                account=self.server.account,
                scratch=scratch,
                timeout=self.options.program_timeout,
            )
            nursery.make(target)
            with nursery.running(target, self.options.use_memory):
                nursery.clear_out()
                found = _carry_out(stages[0], nursery)
        self.note_positions(stages[0].positions or found, target)
        volume.sync(target)

    def needed(self, streams: Sequence[int]) -> int:
        """Roughly: tables have room to grow and indexes, which statements do not."""
        return GROWTH * sum(streams) + EMPTY_BYTES

    def _dump_argv(self, credentials: Path) -> list[str]:
        return [
            self.options.dump_program,
            # No other file is read, so that nothing in the image's changes what a backup is.
            f"--defaults-file={credentials}",
            "--single-transaction",
            "--quick",
            "--all-databases",
            *(f"--ignore-database={name}" for name in NOT_DUMPED),
            f"--system={','.join(SYSTEM)}",
            "--routines",
            "--events",
            "--triggers",
            "--hex-blob",
            "--default-character-set=utf8mb4",
            "--max-allowed-packet=1G",
            *(["--master-data=2"] if self._has_binary_log(credentials) else []),
        ]

    def _has_binary_log(self, credentials: Path) -> bool:
        argv = [self.options.client_program, f"--defaults-file={credentials}", "--batch", "--skip-column-names"]
        done = command.run(argv, stdin=b"SELECT @@log_bin;", timeout=ASK_SECONDS, user=self.server.account)
        return done.stdout.strip() == "1"


class _Stream:
    """A dump that is being made."""

    def __init__(self, program: Producer) -> None:
        self._program = program
        self._landmarks = Landmarks()
        self._begun: float | None = None

    def read(self, size: int) -> bytes:
        chunk = self._program.read(size)
        if self._begun is None:
            self._begun = time.time()
        self._landmarks.pass_by(chunk)
        return chunk

    def finish(self) -> Taken:
        self._program.finish()
        if self._begun is None or not (self._landmarks.is_dump() and self._landmarks.is_whole()):
            raise DatastoreError(subject="Dumping the databases", problem="mariadb-dump did not come to its end")
        # The data are those of the beginning, however long it took.
        return Taken(self._landmarks.positions(), self._begun)


def _carry_out(stage: Stage, nursery: Nursery) -> dict[str, Any]:
    """Have the statements of a dump carried out.

    :returns: the positions in it; another agent that made it would have kept none.
    :raises StreamInvalid: it is not whole, or the server does not take all of it.
    """
    landmarks = Landmarks()
    cut_off, given = StreamInvalid(problem="its stream ends too early"), False
    with nursery.fill() as program:
        try:
            for chunk in _recognised(stage.chunks, landmarks):
                program.write(chunk)
            given = True
            program.finish()
        except SystemFailure as error:
            if error.facts["subject"] != program.program:
                raise
            if given and not landmarks.is_whole():
                raise cut_off from error
            # The client repeats the statement before it says what is wrong with it.
            _, found, said = str(error.facts["problem"]).rpartition(" / ERROR ")
            raise StreamInvalid(problem=f"the server refused it: {'error ' if found else ''}{said}") from error
    if not landmarks.is_whole():
        raise cut_off
    return landmarks.positions()


def _recognised(chunks: Iterator[bytes], landmarks: Landmarks) -> Iterator[bytes]:
    begun = False
    held: list[bytes] = []
    for chunk in chunks:
        landmarks.pass_by(chunk)
        held.append(chunk)
        if begun or landmarks.seen >= SIGN_BYTES:
            _recognise(landmarks)
            begun = True
            yield from held
            held.clear()
    _recognise(landmarks)
    yield from held


def _recognise(landmarks: Landmarks) -> None:
    if not landmarks.seen:
        raise StreamInvalid(problem="its stream is empty")
    if not landmarks.is_dump():
        raise StreamInvalid(problem="its stream is none of mariadb-dump")
