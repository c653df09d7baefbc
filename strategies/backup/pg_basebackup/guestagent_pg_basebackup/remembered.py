"""The server's own manifests of past backups, without which nothing can be built on these.

Each lies in a file that is named after what is in it, and appears whole or not at all. So whoever dies in between
leaves nothing that could be taken for another one, and a backup that came to nothing leaves at most one file too many.
The number of them is bounded: those that were made or built on last stay.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from guestagent.contract.errors import SystemFailure
from guestagent.system import files
from guestagent_pg_basebackup.passing import Passing

COPY_BYTES = 1 << 18


class Remembered:
    """The manifests in one directory, which the server's account can read and not write to; see the module.

    :param account: the server's; none: the agent's own.
    :param most: so many stay.
    """

    def __init__(self, directory: Path, account: str | None, most: int) -> None:
        self._directory = directory
        self._account = account
        self._most = most

    def find(self, sha256: str) -> Path | None:
        """The file of a manifest, which counts from now on as used last; none: it is not there any more.

        :raises SystemFailure: the disk refuses.
        """
        path = self._directory / sha256
        with _told(), contextlib.suppress(FileNotFoundError):
            os.utime(path)
            return path
        return None

    @contextlib.contextmanager
    def keeping(self, name: str, scratch: Path) -> Iterator["Keeping"]:
        """Keeps the manifest of a backup whose stream is seen in the block.

        :param name: of the manifest in the stream.
        :param scratch: where it is until the stream has ended.
        """
        with tempfile.TemporaryFile(dir=scratch) as content:
            yield Keeping(self, Passing(name, content), content)

    def keep(self, sha256: str, content: BinaryIO) -> None:
        """Keep a manifest, and let the ones go that were not used for longest; repeating it is safe.

        :raises OSError: the disk refuses.
        """
        reader = self._account
        files.ensure_directory(self._directory, mode=0o750 if reader else 0o700, group=reader)
        files.sweep(self._directory)
        mode = 0o640 if reader else 0o600
        with files.replacing(self._directory / sha256, mode=mode, group=reader) as stream:
            content.seek(0)
            shutil.copyfileobj(content, stream, COPY_BYTES)
        by_use = sorted(self._directory.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        for path in by_use[: -self._most]:
            path.unlink()


class Keeping:
    """A manifest that is to be kept when the backup that it is of has ended well."""

    def __init__(self, remembered: Remembered, passing: Passing, content: BinaryIO) -> None:
        self._remembered = remembered
        self._passing = passing
        self._content = content

    def look(self, chunk: bytes) -> None:
        """See the next bytes of the backup's stream.

        :raises SystemFailure: the disk refuses.
        :raises DatastoreError: they are none of a tar stream.
        """
        with _told():
            self._passing.look(chunk)

    def keep(self) -> str:
        """Keep it.

        :returns: its SHA-256, by which it is found.
        :raises SystemFailure: the disk refuses.
        :raises DatastoreError: there was none in the stream.
        """
        sha256 = self._passing.sha256
        with _told():
            self._remembered.keep(sha256, self._content)
        return sha256


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        problem = error.strerror or error
        raise SystemFailure(subject="Keeping the server's manifest of the backup", problem=problem) from error
