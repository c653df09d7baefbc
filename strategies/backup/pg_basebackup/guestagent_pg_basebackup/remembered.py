"""The server's own manifests of past backups, without which nothing can be built on these.

Each lies in a file that is named after what is in it, and appears whole or not at all. So whoever dies in between
leaves nothing that could be taken for another one, and a backup that came to nothing leaves at most one file too many.
The number of them is bounded: those that were made or built on last stay.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from guestagent.contract.errors import SystemFailure
from guestagent.system import files

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
        with told(), contextlib.suppress(FileNotFoundError):
            os.utime(path)
            return path
        return None

    def keep(self, sha256: str, content: BinaryIO) -> None:
        """Keep a manifest, and let the ones go that were not used for longest; repeating it is safe.

        :raises SystemFailure: the disk refuses.
        """
        reader = self._account
        with told():
            files.ensure_directory(self._directory, mode=0o750 if reader else 0o700, group=reader)
            files.sweep(self._directory)
            mode = 0o640 if reader else 0o600
            with files.replacing(self._directory / sha256, mode=mode, group=reader) as stream:
                content.seek(0)
                shutil.copyfileobj(content, stream, COPY_BYTES)
            by_use = sorted(self._directory.iterdir(), key=lambda path: path.stat().st_mtime_ns)
            for path in by_use[: -self._most]:
                path.unlink()


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Have a disk that refuses a manifest be an error of ours.

    :raises SystemFailure: it does.
    """
    try:
        yield
    except OSError as error:
        problem = error.strerror or error
        raise SystemFailure(subject="Keeping the server's manifest of the backup", problem=problem) from error
