"""Files written so that a crash leaves the old one or the new one, never a torn one."""

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

UNFINISHED = ".unfinished-"
"""How the names of files that are still being written begin."""
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
"""What file systems say that have no locks, as some on a network."""


@contextlib.contextmanager
def replacing(
    path: Path,
    *,
    mode: int = 0o600,
    owner: str | None = None,
    group: str | None = None,
    scratch: Path | None = None,
    durable: bool = True,
) -> Iterator[BinaryIO]:
    """A stream whose bytes become the file when the block ends, and vanish when it raises.

    They are on disk, with their mode and owner, before they have the file's name.

    :param owner: an account's name; needs root. The same for ``group``.
    :param scratch: where the unfinished file lies, on the same file system; none: beside the file.
    :param durable: otherwise they are on disk when somebody has synced the file and its directory.
    :raises OSError: the disk is full or refuses; the old file is as it was.
    """
    handle, temporary = _begin(scratch or path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            yield stream
            _give(temporary, owner, group)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_directory(path.parent)


def _begin(directory: Path) -> tuple[int, Path]:
    """An unfinished file that is ours for as long as its handle is open."""
    while True:
        handle, name = tempfile.mkstemp(dir=directory, prefix=UNFINISHED)
        _lock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle, Path(name)
        # Somebody swept it away in between.
        os.close(handle)


def _lock(handle: int, how: int) -> bool:
    """Lock a file for as long as it is open.

    :returns: whether its file system can do that; where it cannot, nobody knows what somebody still writes.
    :raises BlockingIOError: somebody else has it, where ``how`` is not to wait.
    """
    try:
        fcntl.flock(handle, how)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return False
    return True


def write(
    path: Path, content: str | bytes, *, mode: int = 0o600, owner: str | None = None, group: str | None = None
) -> None:
    """Replace the file with the content; see :func:`replacing`."""
    with replacing(path, mode=mode, owner=owner, group=group) as stream:
        stream.write(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def lent(secret: Path, path: Path, account: str | None) -> Iterator[Path]:
    """A copy of a secret for a program that runs as another account, mode 0600, as long as the block lasts.

    :param account: an account's name, also that of its group; none: the agent's own.
    """
    write(path, secret.read_bytes(), mode=0o600, owner=account, group=account)
    try:
        yield path
    finally:
        path.unlink()


def sync_tree(directory: Path) -> None:
    """Make a directory and everything below it durable, beside its own name."""
    for folder, _, names in os.walk(directory, topdown=False):
        for name in names:
            _sync(Path(folder) / name, os.O_RDONLY)
        sync_directory(Path(folder))


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def ensure_directory(path: Path, *, mode: int = 0o700, owner: str | None = None, group: str | None = None) -> None:
    """Make the directory and its parents if they are missing; set mode and owner either way."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    _give(path, owner, group)


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _give(path: Path, owner: str | None, group: str | None) -> None:
    if owner is not None:
        shutil.chown(path, user=owner)
    if group is not None:
        shutil.chown(path, group=group)


def read_part(path: Path, start: int, most: int) -> str:
    """A part of a text that another account may write, such as a log; empty where there is none.

    Neither a link is followed nor a pipe waited for.

    :param start: where it begins, in bytes.
    :param most: bytes.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.pread(file, most, start).decode(errors="replace")
    finally:
        os.close(file)


def sweep(directory: Path) -> None:
    """Remove the unfinished files that a crash has left in a directory, if there is one; not below it.

    Those that somebody still writes stay: whoever dies lets go of them.
    """
    for path in directory.glob(f"{UNFINISHED}*"):
        with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open("rb") as stream:
            if _lock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB):
                path.unlink()


def remove_tree(directory: Path) -> None:
    """Remove a directory and everything in it; one that is not there is removed already."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(directory)
