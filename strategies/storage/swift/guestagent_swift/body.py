"""What is put, measured on its way."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from guestagent.system import waiting


class Body:
    """The pieces of an object.

    :ivar size: the bytes that have been sent.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        # What is in memory anyway can be measured before it is sent, and sent twice.
        self._kept: Sequence[bytes] | None = chunks if isinstance(chunks, list | tuple) else None
        self._chunks = chunks
        self.size = 0
        self._md5 = _md5()

    @property
    def repeatable(self) -> bool:
        """Whether it can be sent again."""
        return self._kept is not None

    @property
    def md5(self) -> str:
        """Of the bytes that have been sent, hexadecimal."""
        return self._md5.hexdigest()

    def headers(self) -> dict[str, str]:
        """What can be said of the body before it is sent; Swift refuses one that is another then."""
        if self._kept is None:
            return {}
        digest = _md5()
        for chunk in self._kept:
            digest.update(chunk)
        return {"Content-Length": str(sum(map(len, self._kept))), "ETag": digest.hexdigest()}

    def __iter__(self) -> Iterator[bytes]:
        self.size, self._md5 = 0, _md5()
        for chunk in self._chunks:
            waiting.check()
            self.size += len(chunk)
            self._md5.update(chunk)
            yield chunk


def _md5() -> "hashlib._Hash":
    return hashlib.md5(usedforsecurity=False)
