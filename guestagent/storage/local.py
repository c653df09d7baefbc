"""Objects as files below one directory of the machine, or of what is mounted there."""

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from guestagent.contract.context import RequestContext
from guestagent.contract.errors import InvalidValue, NotFound, StorageError
from guestagent.storage.base import BaseStorage
from guestagent.system import files

CHUNK = 1 << 20


class LocalStorage(BaseStorage):
    """Containers are directories below ``[agent] storage_dir``; files have mode 0600."""

    def put(self, context: RequestContext, container: str, name: str, chunks: Iterable[bytes]) -> int:
        path = self._path(container, name)
        size = 0
        try:
            files.ensure_directory(self._root(), mode=0o700)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with files.replacing(path, scratch=self._root()) as stream:
                for chunk in chunks:
                    size += stream.write(chunk)
        except OSError as error:
            subject = f"Writing {container}/{name} to the local store"
            raise StorageError(subject=subject, problem=error.strerror) from error
        return size

    def get(self, context: RequestContext, container: str, name: str) -> Iterator[bytes]:
        try:
            stream = self._path(container, name).open("rb")
        except (FileNotFoundError, IsADirectoryError):
            raise NotFound(subject=f"Object {container}/{name}") from None
        with stream:
            while chunk := stream.read(CHUNK):
                yield chunk

    def list(self, context: RequestContext, container: str, prefix: str = "") -> list[str]:
        root = self._path(container)
        names = (path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
        return sorted(name for name in names if name.startswith(prefix))

    def delete(self, context: RequestContext, container: str, name: str) -> None:
        self._path(container, name).unlink(missing_ok=True)

    def _root(self) -> Path:
        return Path(self.conf.agent.storage_dir)

    def _path(self, *names: str) -> Path:
        for name in names:
            parts = PurePosixPath(name).parts
            if not parts or name.startswith(("/", files.UNFINISHED)) or ".." in parts or "\0" in name:
                raise InvalidValue(subject=f"The object name {name!r}", problem="it would leave its container")
        return self._root().joinpath(*names)
