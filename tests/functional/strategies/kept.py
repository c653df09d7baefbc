"""Backups that a strategy has made, kept in files."""

import dataclasses
from pathlib import Path

from guestagent.backup.base import BaseBackupStrategy, Stage, Taken
from guestagent.conformance.poll import eventually
from guestagent.system import procfs

READ = 1 << 18


@dataclasses.dataclass(frozen=True)
class Kept:
    """A backup in a file."""

    path: Path
    taken: Taken
    incremental: bool = False

    def stage(self, content: bytes | None = None) -> Stage:
        """As a restore gets it; with another content, as it may not."""
        given = self.path.read_bytes() if content is None else content
        chunks = (given[at : at + READ] for at in range(0, len(given), READ))
        return Stage(chunks, self.taken.positions, self.incremental)


def keep(strategy: BaseBackupStrategy, path: Path, parent: Kept | None = None) -> Kept:
    """Make a backup."""
    with strategy.backup(parent.taken.positions if parent else None) as source, path.open("wb") as stream:
        while chunk := source.read(READ):
            stream.write(chunk)
        return Kept(path, source.finish(), parent is not None)


def processes(directory: Path, *programs: str) -> list[list[str]]:
    """The command lines of such programs that have to do with a directory."""
    lines = [procfs.command_line(process) for process in procfs.running()]
    return [
        line
        for line in lines
        if line and Path(line[0]).name in programs and any(str(directory) in word for word in line)
    ]


def running(directory: Path, *programs: str) -> list[list[str]]:
    """The same, when there are some: what starts a program may not have become it yet."""
    return eventually(lambda: processes(directory, *programs), message=f"none of {', '.join(programs)} runs")
