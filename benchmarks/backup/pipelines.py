"""The bare way: the database's own programs, a compressor's, pipes between them and one file."""

import abc
import contextlib
import dataclasses
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from guestagent.backup.job import ServerFacts
from guestagent.system import command

ZSTD: Final = (("zstd", "-q", "-T2", "-1"), ("zstd", "-q", "-d"))
GZIP: Final = (("gzip", "-6"), ("gzip", "-d"))
"""A compressor, and the way back."""


class PipelineFailed(Exception):
    """A program of a pipeline ended with another code than 0; the text says which, and what it said."""


@dataclasses.dataclass(frozen=True)
class Program:
    """One program of a pipeline.

    :ivar account: that it runs as; none: ours.
    :ivar environment: in addition to that of all programs.
    """

    argv: Sequence[str]
    account: str | None = None
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)


class Pipeline(abc.ABC):
    """Backups as one file, without a checksum of ours.

    :param directory: is made, open to the server's account.
    :param compressor: and the way back.
    """

    def __init__(self, directory: Path, compressor: tuple[Sequence[str], Sequence[str]] = ZSTD) -> None:
        directory.mkdir()
        self._file = directory / "backup"
        self._pack, self._unpack = map(Program, compressor)

    @abc.abstractmethod
    def back_up(self, server: ServerFacts) -> None:
        """Make a full backup in place of the last one."""

    @abc.abstractmethod
    def restore(self, server: ServerFacts) -> None:
        """Make a data directory of the last one."""

    def forget(self) -> None:
        """Remove what was backed up."""
        self._file.unlink(missing_ok=True)

    @property
    def files(self) -> list[Path]:
        """What was backed up."""
        return [self._file]

    def _keep(self, *programs: Program) -> None:
        """Have the file made by programs, and on the disk."""
        with self._file.open("wb") as kept:
            flow(programs, sink=kept)
            os.fsync(kept.fileno())

    def _give_back(self, program: Program) -> None:
        """Hand the stream in the file over to a program that makes files of it."""
        with self._file.open("rb") as kept:
            flow([self._unpack, program], source=kept)


def settle(server: ServerFacts) -> None:
    """Have a data directory on the disk."""
    subprocess.run(["sync", "--file-system", server.data_dir], check=True)


def flow(
    programs: Sequence[Program],
    source: int | IO[bytes] = subprocess.DEVNULL,
    sink: int | IO[bytes] = subprocess.DEVNULL,
) -> None:
    """Run programs as a shell does that has a pipe between each two of them.

    :raises PipelineFailed: one of them has failed.
    """
    with contextlib.ExitStack() as opened:
        running = []
        for number, program in enumerate(programs, 1):
            log = opened.enter_context(tempfile.TemporaryFile())
            last = number == len(programs)
            process = subprocess.Popen(
                program.argv,
                stdin=source,
                stdout=sink if last else subprocess.PIPE,
                stderr=log,
                cwd="/",
                env={**command.ENVIRONMENT, **program.environment},
                **command.identity(program.account),
            )
            if not isinstance(source, int) and number > 1:
                # Its reader alone holds it now, so that its writer hears of its end.
                source.close()
            running.append((program, process, log))
            source = process.stdout or source
        for program, process, log in running:
            if process.wait():
                log.seek(0)
                said = log.read().decode(errors="replace")[-2000:]
                raise PipelineFailed(f"{program.argv[0]} ended with {process.returncode}: {said}")
