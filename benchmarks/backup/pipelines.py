"""The bare way: the database's own programs, a compressor's, pipes between them and one file."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

from guestagent.backup.job import ServerFacts
from guestagent.system import command

PROGRAM, UNPACK_PROGRAM = "mariadb-backup", "mbstream"
ZSTD: Final = (("zstd", "-q", "-T2", "-1"), ("zstd", "-q", "-d"))
GZIP: Final = (("gzip", "-6"), ("gzip", "-d"))
"""A compressor, and the way back."""
MEMORY_MIB: Final = 128
"""What preparing works in, as the agent's default."""


class PipelineFailed(Exception):
    """A program of a pipeline ended with another code than 0; the text says which, and what it said."""


class Pipeline:
    """Backups as one file, without a checksum of ours.

    :param directory: is made, open to the server's account.
    :param compressor: and the way back.
    """

    def __init__(self, directory: Path, compressor: tuple[Sequence[str], Sequence[str]] = ZSTD) -> None:
        directory.mkdir()
        self._file = directory / "backup"
        self._pack, self._unpack = compressor

    def back_up(self, server: ServerFacts) -> None:
        """Make a full backup in place of the last one."""
        scratch = Path(server.scratch_dir)
        argv = [
            PROGRAM,
            f"--defaults-file={server.credentials}",
            "--backup",
            "--stream=xbstream",
            f"--datadir={server.data_dir}",
            f"--target-dir={scratch}",
        ]
        with self._file.open("wb") as kept:
            _flow([(argv, server.account), (self._pack, None)], subprocess.DEVNULL, kept)
            os.fsync(kept.fileno())

    def restore(self, server: ServerFacts) -> None:
        """Make a data directory of the last one."""
        unpack = [UNPACK_PROGRAM, "-x", "-C", server.data_dir]
        with self._file.open("rb") as kept:
            _flow([(self._unpack, None), (unpack, server.account)], kept, subprocess.DEVNULL)
        prepare = [
            PROGRAM,
            "--no-defaults",
            "--prepare",
            f"--target-dir={server.data_dir}",
            f"--use-memory={MEMORY_MIB}M",
        ]
        _flow([(prepare, server.account)], subprocess.DEVNULL, subprocess.DEVNULL)
        subprocess.run(["sync", "--file-system", server.data_dir], check=True)

    def forget(self) -> None:
        """Remove what was backed up."""
        self._file.unlink(missing_ok=True)

    @property
    def files(self) -> list[Path]:
        """What was backed up."""
        return [self._file]


def _flow(programs: Sequence[tuple[Sequence[str], str | None]], source: int | IO[bytes], sink: int | IO[bytes]) -> None:
    """Run programs as a shell does that has a pipe between each two of them.

    :param programs: command lines, each with the account that it runs as.
    :raises PipelineFailed: one of them has failed.
    """
    with contextlib.ExitStack() as opened:
        running = []
        for number, (argv, account) in enumerate(programs, 1):
            log = opened.enter_context(tempfile.TemporaryFile())
            last = number == len(programs)
            process = subprocess.Popen(
                argv,
                stdin=source,
                stdout=sink if last else subprocess.PIPE,
                stderr=log,
                cwd="/",
                env=command.ENVIRONMENT,
                **command.identity(account),
            )
            if not isinstance(source, int) and number > 1:
                # Its reader alone holds it now, so that its writer hears of its end.
                source.close()
            running.append((argv, process, log))
            source = process.stdout or source
        for argv, process, log in running:
            if process.wait():
                log.seek(0)
                said = log.read().decode(errors="replace")[-2000:]
                raise PipelineFailed(f"{argv[0]} ended with {process.returncode}: {said}")
