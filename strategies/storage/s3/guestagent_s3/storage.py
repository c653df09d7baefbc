"""S3 as a storage strategy."""

import functools
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec
from oslo_config import cfg

from guestagent.contract.context import RequestContext
from guestagent.contract.errors import InvalidValue, StorageError
from guestagent.storage.base import BaseStorage, Joined, NoSuchObject, Part
from guestagent_s3 import answers, options, upload
from guestagent_s3.answers import Entry
from guestagent_s3.bucket import Answer, Bucket, bare
from guestagent_s3.errors import NoSuchKey
from guestagent_s3.names import Names

MIB: Final = 1 << 20
METADATA_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
CONTENT_TYPE: Final = {"Content-Type": "application/octet-stream"}


class S3Storage(BaseStorage):
    """Containers are the first parts of names in the one bucket of ``[s3]``.

    The options are looked at when the store is first used, so that a guest whose store is not set up goes on
    doing everything else.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf)
        options.register(conf)

    def put(
        self,
        context: RequestContext,
        container: str,
        name: str,
        chunks: Iterable[bytes],
        metadata: Mapping[str, str] | None = None,
    ) -> int:
        size, _ = self._put(container, name, chunks, metadata or {})
        return size

    def get(self, context: RequestContext, container: str, name: str) -> Iterator[bytes]:
        key = self._names.key(container, name)
        try:
            return self._bucket.open(f"Reading {container}/{name} from S3", key).chunks()
        except NoSuchKey:
            raise NoSuchObject(subject=f"Object {container}/{name}") from None

    def list(self, context: RequestContext, container: str, prefix: str = "") -> list[str]:
        start = len(self._names.container(container))
        return sorted(entry.key[start:] for entry in self._entries(container, prefix))

    def delete(self, context: RequestContext, container: str, name: str) -> None:
        key = self._names.key(container, name)
        try:
            self._bucket.ask(f"Deleting {container}/{name} from S3", "DELETE", key)
        except NoSuchKey:
            return  # Amazon's store does not even say so

    def size(self, context: RequestContext, container: str, name: str) -> int:
        size = self._look(container, name).size
        if size is None:
            raise StorageError(subject=f"Looking at {container}/{name} in S3", problem="it does not say the size")
        return size

    def join(self, context: RequestContext, container: str, name: str, parts: Sequence[Part]) -> Joined:
        """The object is a list of its parts, which lie beside it: S3 would make a copy of them."""
        self._check(container, f"Joining {container}/{name} in S3", parts)
        _, etag = self._put(container, name, [msgspec.json.encode(parts)], {})
        return Joined(self._names.location(container, name), etag)

    def locate(self, location: str) -> tuple[str, str]:
        return self._names.located(location)

    @functools.cached_property
    def _bucket(self) -> Bucket:
        return Bucket(self.conf.s3)

    @functools.cached_property
    def _names(self) -> Names:
        return Names.of(self._bucket.name, self.conf.s3.prefix)

    def _put(self, container: str, name: str, chunks: Iterable[bytes], metadata: Mapping[str, str]) -> tuple[int, str]:
        key = self._names.key(container, name)
        headers = CONTENT_TYPE | _metadata_headers(metadata)
        what = f"Writing {container}/{name} to S3"
        return upload.send(self._bucket, what, key, chunks, headers, self.conf.s3.part_size * MIB)

    def _entries(self, container: str, prefix: str) -> Iterator[Entry]:
        """What the store's list says of the objects whose names begin with the prefix."""
        what = f"Listing {container} in S3"
        query = {
            "list-type": "2",
            # XML cannot hold every character of a name.
            "encoding-type": "url",
            "prefix": f"{self._names.container(container)}{prefix}",
        }
        while True:
            page = answers.page(what, self._bucket.ask(what, "GET", query=query).content)
            yield from page.entries
            if page.token is None:
                return
            if page.token == query.get("continuation-token"):
                raise StorageError(subject=what, problem="the store's list comes to no end")
            query["continuation-token"] = page.token

    def _look(self, container: str, name: str) -> Answer:
        """What the store says of an object.

        :raises NoSuchObject: there is none of that name.
        """
        key = self._names.key(container, name)
        try:
            return self._bucket.ask(f"Looking at {container}/{name} in S3", "HEAD", key)
        except NoSuchKey:
            raise NoSuchObject(subject=f"Object {container}/{name}") from None

    def _check(self, container: str, what: str, parts: Sequence[Part]) -> None:
        """See that the parts are there and are what they should be.

        A list says it of a thousand objects at once. Where it says something else, the object itself is asked:
        the list may be late, and an ETag in it does not say whether it is an MD5.
        """
        start = len(self._names.container(container))
        folder = posixpath.dirname(posixpath.commonprefix([part.name for part in parts]))
        listed = {entry.key[start:]: entry for entry in self._entries(container, f"{folder}/")} if folder else {}
        for part in parts:
            entry = listed.get(part.name)
            if entry is not None and entry.size == part.size and bare(entry.etag) == part.md5:
                continue
            try:
                found = self._look(container, part.name)
            except NoSuchObject:
                raise StorageError(subject=what, problem=f"part {part.name} is not there") from None
            if found.size != part.size:
                raise StorageError(subject=what, problem=f"part {part.name} has another size")
            if found.etag_is_md5 and "-" not in found.etag and found.etag != part.md5:
                raise StorageError(subject=what, problem=f"part {part.name} has another content")


def _metadata_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    headers = {}
    for name, value in metadata.items():
        if not METADATA_NAME.fullmatch(name) or not value.isascii() or not value.isprintable():
            raise InvalidValue(subject=f"The metadata {name!r}", problem="a header of HTTP cannot hold it")
        headers[f"x-amz-meta-{name}"] = value
    return headers
