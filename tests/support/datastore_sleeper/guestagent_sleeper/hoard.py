"""A backup strategy whose streams can be made again."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from guestagent.backup.base import BaseBackupStrategy, Source, Stage, Taken

DATA = "data"
"""The hoarder's file."""


class Hoard(BaseBackupStrategy):
    """The hoarder's file, as it was when the backup was begun: a second name keeps it from being replaced."""

    datastores = frozenset({"hoarder"})
    incremental = True
    repeatable = True

    @contextlib.contextmanager
    def backup(self, parent: dict[str, Any] | None) -> Iterator[Source]:
        path = self.server.data_dir / DATA
        if self.server.kept_dir is not None:
            kept = self.server.kept_dir / DATA
            with contextlib.suppress(FileExistsError):
                os.link(path, kept)
            path = kept
        with path.open("rb") as stream:
            # What was there before has not changed.
            stream.seek(parent["size"] if parent else 0)
            yield _File(stream)

    def restore(self, stages: Sequence[Stage], target: Path) -> None:
        with (target / DATA).open("wb") as stream:
            for stage in stages:
                stream.writelines(stage.chunks)


class _File:
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        return self._stream.read(size)

    def finish(self) -> Taken:
        found = os.fstat(self._stream.fileno())
        return Taken({"size": found.st_size}, found.st_mtime)
