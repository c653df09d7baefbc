"""Objects as files below one directory of the machine, or of what is mounted there."""

import contextlib
import errno
import hashlib
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import msgspec
from oslo_config import cfg

from guestagent.contract.context import RequestContext
from guestagent.contract.errors import InvalidValue, NotFound, StorageError
from guestagent.storage.base import BaseStorage, Joined, Part, StoreFull, StoreReadOnly, UnsafeName
from guestagent.system import files

SCHEME = "local://"
UNWRITABLE = {
    errno.ENOSPC: StoreFull,
    errno.EDQUOT: StoreFull,
    errno.EFBIG: StoreFull,
    errno.EROFS: StoreReadOnly,
    errno.EACCES: StoreReadOnly,
    errno.EPERM: StoreReadOnly,
}


class LocalStorage(BaseStorage):
    """Containers are directories below ``[agent] storage_dir``; files have mode 0600.

    A directory cannot have an object's name: where ``a/b`` is kept, ``a`` cannot be, and the other way round.
    """

    knows_md5 = False

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf)
        self._batches: set[Path] = set()

    def tidy(self) -> None:
        files.sweep(self._root())

    def put(
        self,
        context: RequestContext,
        container: str,
        name: str,
        chunks: Iterable[bytes],
        metadata: Mapping[str, str] | None = None,
    ) -> int:
        # Most agents never store anything.
        from guestagent.system.past_cache import PastCache

        path = self._path(container, name)
        size = 0
        try:
            files.ensure_directory(self._root(), mode=0o700)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            durable = self._batches.isdisjoint(path.parents)
            with (
                files.replacing(path, scratch=self._root(), durable=durable) as stream,
                PastCache(stream.fileno()) as file,
            ):
                for chunk in chunks:
                    size += file.write(chunk)
        except OSError as error:
            raise _unwritable(f"Writing {container}/{name} to", error) from error
        return size

    @contextlib.contextmanager
    def batch(self, container: str, name: str) -> Iterator[None]:
        path = self._path(container, name)
        self._batches.add(path)
        try:
            yield
        finally:
            self._batches.discard(path)
        try:
            if path.exists():
                files.sync_tree(path)
                for parent in (path.parent, self._root()):
                    files.sync_directory(parent)
        except OSError as error:
            raise _unwritable(f"Writing {container}/{name} to", error) from error

    def get(self, context: RequestContext, container: str, name: str) -> Iterator[bytes]:
        path = self._path(container, name)
        try:
            return _chunks(path.open("rb"), f"Reading {container}/{name} from")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise NotFound(subject=f"Object {container}/{name}") from None
        except OSError as error:
            raise _failed(f"Reading {container}/{name} from", error) from error

    def list(self, context: RequestContext, container: str, prefix: str = "") -> list[str]:
        root = self._path(container)
        names = (path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
        return sorted(name for name in names if name.startswith(prefix))

    def delete(self, context: RequestContext, container: str, name: str) -> None:
        path = self._path(container, name)
        try:
            path.unlink()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return  # no object has this name
        except OSError as error:
            raise _unwritable(f"Deleting {container}/{name} from", error) from error

    def size(self, context: RequestContext, container: str, name: str) -> int:
        path = self._path(container, name)
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(subject=f"Object {container}/{name}") from None
        except OSError as error:
            raise _failed(f"Looking at {container}/{name} in", error) from error
        if not stat.S_ISREG(found.st_mode):
            raise NotFound(subject=f"Object {container}/{name}")
        return found.st_size

    def join(self, context: RequestContext, container: str, name: str, parts: Sequence[Part]) -> Joined:
        """The object is a list of its parts: they lie beside it on the same disk."""
        for part in parts:
            if self.size(context, container, part.name) != part.size:
                raise StorageError(subject=f"Joining {container}/{name}", problem=f"part {part.name} has another size")
        index = msgspec.json.encode(parts)
        self.put(context, container, name, [index])
        return Joined(f"{SCHEME}{container}/{name}", hashlib.md5(index, usedforsecurity=False).hexdigest())

    def locate(self, location: str) -> tuple[str, str]:
        container, _, name = location.removeprefix(SCHEME).partition("/")
        if not location.startswith(SCHEME) or not name:
            raise InvalidValue(subject=f"The location {location!r}", problem=f"it does not begin with {SCHEME}")
        self._path(container, name)
        return container, name

    def _root(self) -> Path:
        return Path(self.conf.agent.storage_dir)

    def _path(self, container: str, name: str | None = None) -> Path:
        if not container or "/" in container or container in (".", "..") or container.startswith(files.UNFINISHED):
            raise UnsafeName(subject=f"The container name {container!r}", problem="it must name one directory")
        names = [container] if name is None else [container, name]
        for text in names:
            _check(text)
        return self._root().joinpath(*names)


def _check(name: str) -> None:
    parts = PurePosixPath(name).parts
    if not parts or parts[0] == "/" or ".." in parts or "\0" in name:
        raise UnsafeName(subject=f"The object name {name!r}", problem="it would leave its container")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InvalidValue(subject=f"The object name {name!r}", problem="it cannot be written as UTF-8") from None


def _chunks(stream: BinaryIO, what: str) -> Iterator[bytes]:
    from guestagent.system import past_cache

    with stream:
        try:
            yield from past_cache.read(stream.fileno())
        except OSError as error:
            raise _failed(what, error) from error


def _unwritable(what: str, error: OSError) -> StorageError:
    kind = UNWRITABLE.get(error.errno or 0, StorageError)
    return _failed(what, error, kind)


def _failed(what: str, error: OSError, kind: type[StorageError] = StorageError) -> StorageError:
    return kind(subject=f"{what} the local store", problem=error.strerror or error)
