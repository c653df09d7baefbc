"""Names: what they become in the bucket, and which of them are refused."""

from typing import Final, Self

import msgspec

from guestagent.contract.errors import InvalidValue
from guestagent.storage.base import UnsafeName

SCHEME: Final = "s3://"
LONGEST: Final = 1024
"""Bytes of a key; S3's own limit."""


class Names(msgspec.Struct, frozen=True):
    """Keys are ``<prefix><container>/<name>``, and locations ``s3://<bucket>/<key>``.

    :ivar prefix: empty, or ending with ``/``.
    """

    bucket: str
    prefix: str

    @classmethod
    def of(cls, bucket: str, prefix: str) -> Self:
        """The names below a prefix as an operator writes it.

        :raises InvalidValue: it cannot begin a name.
        """
        cleaned = prefix.strip("/")
        if cleaned:
            _check("The option [s3] prefix", cleaned)
        return cls(bucket, f"{cleaned}/" if cleaned else "")

    def container(self, container: str) -> str:
        """What the keys of a container's objects begin with.

        :raises InvalidValue: it is no name of a container.
        """
        subject = f"The container name {container!r}"
        _check(subject, container)
        if "/" in container:
            raise InvalidValue(subject=subject, problem="it must hold no /")
        return f"{self.prefix}{container}/"

    def key(self, container: str, name: str) -> str:
        """The key of an object.

        :raises InvalidValue: one of the names cannot be used.
        """
        key = self.container(container)
        subject = f"The object name {name!r}"
        _check(subject, name)
        key += name
        if len(key.encode()) > LONGEST:
            raise InvalidValue(subject=subject, problem=f"with its container it is longer than {LONGEST} bytes")
        return key

    def location(self, container: str, name: str) -> str:
        """What :meth:`located` understands."""
        return f"{SCHEME}{self.bucket}/{self.key(container, name)}"

    def located(self, location: str) -> tuple[str, str]:
        """The container and the name of a location.

        :raises InvalidValue: it is none of this bucket and this prefix.
        """
        ours = f"{SCHEME}{self.bucket}/{self.prefix}"
        container, _, name = location.removeprefix(ours).partition("/")
        if not location.startswith(ours) or not name:
            raise InvalidValue(subject=f"The location {location!r}", problem=f"it does not begin with {ours}")
        self.key(container, name)
        return container, name


def _check(subject: str, text: str) -> None:
    # Some stores, and proxies before them, take such parts of a path for a way out.
    if any(part in ("", ".", "..") for part in text.split("/")) or "\0" in text:
        raise UnsafeName(subject=subject, problem="it would leave its place")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidValue(subject=subject, problem="it cannot be written as UTF-8") from None
