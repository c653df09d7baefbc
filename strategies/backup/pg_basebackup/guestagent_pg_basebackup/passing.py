"""A file of a tar stream, kept while the stream passes by."""

import hashlib
import tarfile
from typing import BinaryIO

from guestagent.contract.errors import DatastoreError

ENCODING = "utf-8"


class Passing:
    """Copies one file out of a stream that somebody else reads.

    :param name: of the file.
    :param sink: takes its content.
    """

    def __init__(self, name: str, sink: BinaryIO) -> None:
        self._name = name
        self._sink = sink
        self._digest = hashlib.sha256()
        self._header = bytearray()
        # Bytes until the next header, and how many of them are the file's.
        self._left = 0
        self._wanted = 0
        self._found = False

    def look(self, chunk: bytes) -> None:
        """See the next bytes of the stream.

        :raises DatastoreError: they are none of a tar stream.
        :raises OSError: the sink refuses.
        """
        rest = memoryview(chunk)
        while rest:
            if self._left:
                taken, rest = rest[: self._left], rest[self._left :]
                self._take(taken)
            else:
                missing = tarfile.BLOCKSIZE - len(self._header)
                self._header += rest[:missing]
                rest = rest[missing:]
                if len(self._header) == tarfile.BLOCKSIZE:
                    self._open(bytes(self._header))
                    self._header.clear()

    @property
    def sha256(self) -> str:
        """Of the file, once the stream has ended.

        :raises DatastoreError: the file was not in it, or not whole.
        """
        if not self._found or self._wanted:
            raise DatastoreError(subject="The backup", problem=f"there is no whole file '{self._name}' in its stream")
        return self._digest.hexdigest()

    def _open(self, header: bytes) -> None:
        if not any(header):
            return  # it ends with such blocks
        try:
            entry = tarfile.TarInfo.frombuf(header, ENCODING, "surrogateescape")
        except tarfile.HeaderError as error:
            raise DatastoreError(subject="The backup", problem=f"its stream is no tar: {error}") from error
        self._left = -(-entry.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE if entry.isreg() else 0
        if entry.isreg() and entry.name == self._name:
            self._found, self._wanted = True, entry.size

    def _take(self, content: memoryview) -> None:
        self._left -= len(content)
        if self._wanted:
            wanted = content[: self._wanted]
            self._wanted -= len(wanted)
            self._digest.update(wanted)
            self._sink.write(wanted)
