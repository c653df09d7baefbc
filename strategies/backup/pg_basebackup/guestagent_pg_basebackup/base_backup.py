"""A base backup as one tar stream: the files, and at their end the server's own manifest of them.

Source: PostgreSQL's documentation, "Streaming Replication Protocol", ``BASE_BACKUP``, as it is since PostgreSQL 15.
"""

import hashlib
import tarfile
from collections.abc import Iterator
from typing import BinaryIO, Final

import msgspec

from guestagent.contract.errors import DatastoreError, NotSupported
from guestagent_pg_basebackup.remembered import told
from guestagent_pg_basebackup.session import DATASTORE, Session

SUBJECT: Final = "The base backup"
FIRST: Final = 15
"""The major version from which on a server gives its backups so."""
MANIFEST: Final = "backup_manifest"
"""The server's own list of the files; the last one of the stream."""
MANIFEST_MODE: Final = 0o600
COPY_BYTES: Final = 1 << 17
DATA, MANIFEST_BEGINS = b"d", b"m"
"""What a piece of the server's stream is, by its first byte; what is neither has nothing of the backup in it."""
TAR_END: Final = bytes(2 * tarfile.BLOCKSIZE)


class Made(msgspec.Struct, frozen=True):
    """A backup that has ended well.

    :ivar manifest: the SHA-256 of the server's manifest.
    """

    start_lsn: str
    end_lsn: str
    timeline: int
    manifest: str


class BaseBackup:
    """A backup that is being made; see the module.

    :param session: does nothing else.
    :param command: ``BASE_BACKUP`` with its options.
    :param manifest: an empty file, which has the server's manifest when the backup has ended.
    :raises NotSupported: the server has tablespaces of its own, which one tar stream cannot hold.
    :raises DatastoreError: the server refuses, in its own words.
    """

    def __init__(self, session: Session, command: str, manifest: BinaryIO) -> None:
        self._session = session
        self._manifest = manifest
        self._sha256 = hashlib.sha256()
        self._start, *directories = session.begin(command)
        if any(number is not None for number, *_ in directories):
            raise NotSupported(operation="a backup of a server with tablespaces of its own", datastore=DATASTORE)
        self._tar = self._made()
        self._rest = b""

    def read(self, size: int) -> bytes:
        """The next bytes of the stream, at most so many; empty: the end.

        :raises DatastoreError: the server has failed.
        :raises SystemFailure: the disk refuses the manifest.
        """
        while not self._rest:
            found = next(self._tar, None)
            if found is None:
                return b""
            self._rest = found
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece

    def finish(self) -> Made:
        """After the end: see that it was a good one.

        :raises DatastoreError: it was not.
        """
        end, *_ = self._session.end()
        return Made(str(self._start[0]), str(end[0]), int(self._start[1] or 0), self._sha256.hexdigest())

    def _made(self) -> Iterator[bytes]:
        held = b""
        is_manifest = False
        for piece in self._session.pieces():
            kind, content = piece[:1], piece[1:]
            if kind == MANIFEST_BEGINS:
                is_manifest = True
            elif kind == DATA and is_manifest:
                with told():
                    self._manifest.write(content)
                self._sha256.update(content)
            elif kind == DATA:
                yield held
                held = content
        if not is_manifest or not held.endswith(TAR_END):
            raise DatastoreError(subject=SUBJECT, problem="the server's stream is not whole")
        yield held.removesuffix(TAR_END)
        yield from self._with_header()
        yield TAR_END

    def _with_header(self) -> Iterator[bytes]:
        """The manifest as a file of the tar stream."""
        entry = tarfile.TarInfo(MANIFEST)
        entry.size = self._manifest.tell()
        entry.mode = MANIFEST_MODE
        yield entry.tobuf(tarfile.USTAR_FORMAT)
        with told():
            # What was not written yet is written then.
            self._manifest.seek(0)
        while content := self._manifest.read(COPY_BYTES):
            yield content
        yield bytes(-entry.size % tarfile.BLOCKSIZE)
