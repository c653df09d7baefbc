"""The storage strategy ``swift``."""

import contextlib
import copy
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Self, TypeVar

import msgspec
from oslo_config import cfg

from guestagent.contract.context import RequestContext
from guestagent.contract.errors import InvalidValue, StorageError
from guestagent.storage.base import BaseStorage, Joined, NoSuchObject, Part
from guestagent.storage.http import StorageUnavailable
from guestagent.system import waiting
from guestagent_swift import joining, names, options
from guestagent_swift.body import Body
from guestagent_swift.client import LONGEST, Account, Reply
from guestagent_swift.errors import refusal, refused

OK: Final = 200
ACCEPTED: Final = 202
NOT_FOUND: Final = 404

LONGEST_PAGE: Final = 64 << 20
"""Bytes of a page of names: Swift gives 10,000 at a time, with some words about each."""
METADATA: Final = "x-object-meta-"
"""How the names of headers begin that hold what was kept with an object."""
CONTENT: Final = {"Content-Type": "application/octet-stream"}
META_NAME: Final = re.compile(r"[A-Za-z0-9-]+")

Answer = TypeVar("Answer")


class _Listed(msgspec.Struct):
    name: str


class SwiftStorage(BaseStorage):
    """Objects in the account that a request names (:meth:`at`) or else ``[swift] url``, with the request's token.

    A container is made when it is first needed. What is put is compared with the digest that Swift answers.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf)
        options.register(conf)
        self._url: str | None = None
        # Shared with what `at` makes: requests come one by one, and the connections stay.
        self._accounts: dict[str, Account] = {}
        self._containers: set[str] = set()

    def at(self, url: str | None) -> Self:
        if url is None:
            return self
        bound = copy.copy(self)
        bound._url = url
        # A URL that cannot be used is refused now.
        bound._account()
        return bound

    def put(
        self,
        context: RequestContext,
        container: str,
        name: str,
        chunks: Iterable[bytes],
        metadata: Mapping[str, str] | None = None,
    ) -> int:
        what = f"Writing {container}/{name} to the object store"
        path = names.object_path(container, name)
        body = Body(chunks)
        how = {"headers": {**CONTENT, **_meta(metadata or {}), **body.headers()}, "body": body}
        if not body.repeatable:
            # It can be sent once, so that it must not be sent for nothing.
            self._ensure(context, container)
        reply = self._ask(context, what, "PUT", path, **how)
        if reply.status == NOT_FOUND:
            self._make(context, container)
            if not body.repeatable:
                raise StorageUnavailable(subject=what, problem="its container was not there and has been made")
            reply = self._ask(context, what, "PUT", path, **how)
        _succeeded(what, reply)
        if reply.etag != body.md5:
            with waiting.shielded(), contextlib.suppress(StorageError):
                self.delete(context, container, name)
            raise StorageUnavailable(subject=what, problem="something else has arrived there")
        return body.size

    def get(self, context: RequestContext, container: str, name: str) -> Iterator[bytes]:
        what = f"Reading {container}/{name} from the object store"
        response = self._account().stream(context, what, names.object_path(container, name))
        if refused(response.status):
            with response:
                _found(what, container, name, Reply(response, response.read(LONGEST)))
        return _checked(response.chunks())

    def list(self, context: RequestContext, container: str, prefix: str = "") -> list[str]:
        what = f"Listing {container} in the object store"
        path = names.container_path(container)
        found: list[str] = []
        while True:
            query = {"format": "json", "prefix": prefix, "marker": found[-1] if found else ""}
            reply = self._ask(context, what, "GET", path, query=query, longest=LONGEST_PAGE)
            if reply.status == NOT_FOUND:
                return []
            _succeeded(what, reply)
            page = [listed.name for listed in _decoded(what, reply.content or b"[]", list[_Listed])]
            if not page:
                return sorted(found)
            if found and page[-1] <= found[-1]:
                raise StorageError(subject=what, problem="its pages do not go on")
            found += page

    def delete(self, context: RequestContext, container: str, name: str) -> None:
        """Of an object that was joined, what it was made of stays."""
        what = f"Deleting {container}/{name} from the object store"
        reply = self._ask(context, what, "DELETE", names.object_path(container, name))
        if reply.status != NOT_FOUND:
            _succeeded(what, reply)

    def size(self, context: RequestContext, container: str, name: str) -> int:
        what = f"Looking at {container}/{name} in the object store"
        reply = self._ask(context, what, "HEAD", names.object_path(container, name))
        _found(what, container, name, reply)
        return _size(what, reply)

    def metadata(self, context: RequestContext, container: str, name: str) -> Mapping[str, str]:
        what = f"Looking at {container}/{name} in the object store"
        reply = self._ask(context, what, "HEAD", names.object_path(container, name))
        _found(what, container, name, reply)
        return reply.headers(METADATA)

    def join(self, context: RequestContext, container: str, name: str, parts: Sequence[Part]) -> Joined:
        what = f"Joining {container}/{name} in the object store"
        if not parts:
            raise StorageError(subject=what, problem="there is nothing to join")

        def keep(name: str, parts: Sequence[Part]) -> Part:
            return self._keep(context, what, container, name, parts)

        joined = joining.join(what, name, parts, self._limits(what), container, keep)
        return Joined(names.location_of(self._account().url, container, name), joined.md5)

    def locate(self, location: str) -> tuple[str, str]:
        return names.located(self._account().url, location)

    def _account(self) -> Account:
        url = self._url or self.conf.swift.url
        if not url:
            problem = "the request names none, and [swift] url is not set"
            raise InvalidValue(subject="The URL of the object store", problem=problem)
        found = self._accounts.get(url)
        if found is None:
            found = self._accounts[url] = Account(url, self.conf)
        return found

    def _ask(self, context: RequestContext, what: str, method: str, path: str, **how: Any) -> Reply:
        return self._account().ask(context, what, method, path, **how)

    def _ensure(self, context: RequestContext, container: str) -> None:
        """Make a container that is not there; once seen it counts as there."""
        path = names.container_path(container)
        known = self._account().url + path
        if known in self._containers:
            return
        what = f"Looking for the container {container} in the object store"
        reply = self._ask(context, what, "HEAD", path)
        if reply.status == NOT_FOUND:
            self._make(context, container)
        else:
            _succeeded(what, reply)
        self._containers.add(known)

    def _make(self, context: RequestContext, container: str) -> None:
        what = f"Making the container {container} in the object store"
        _succeeded(what, self._ask(context, what, "PUT", names.container_path(container)))

    def _limits(self, what: str) -> joining.Limits:
        reply = self._account().info(what)
        if not refused(reply.status):
            with contextlib.suppress(msgspec.DecodeError):
                return msgspec.json.decode(reply.content, type=joining.Info).slo
        # Not every cluster says what it is like.
        return joining.Limits()

    def _keep(self, context: RequestContext, what: str, container: str, name: str, parts: Sequence[Part]) -> Part:
        """Make one large object, and look at what has become of it."""
        path = names.object_path(container, name)
        # With a heartbeat Swift says something while it looks at the parts, which may take minutes.
        query = {"multipart-manifest": "put", "heartbeat": "on"}
        headers = {**CONTENT, "Accept": "application/json"}
        listing = joining.listing(container, parts)
        reply = self._ask(context, what, "PUT", path, query=query, headers=headers, body=listing)
        _succeeded(what, reply)
        if reply.status == ACCEPTED:
            verdict = _decoded(what, reply.content, joining.Verdict)
            if refused(verdict.number):
                raise refusal(what, verdict.number, verdict.words, reply.header("X-Trans-Id"))
        # Another replica may not know of it yet.
        reply = self._ask(context, what, "HEAD", path, headers={"X-Newest": "true"})
        _succeeded(what, reply)
        size = sum(part.size for part in parts)
        if reply.header("X-Static-Large-Object").lower() != "true" or _size(what, reply) != size:
            raise StorageError(
                subject=what, problem="the store has kept something else; its middleware 'slo' is needed"
            )
        return Part(name, size, reply.etag)


def _checked(chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        waiting.check()
        yield chunk


def _meta(metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata as headers."""
    for name, text in metadata.items():
        if not META_NAME.fullmatch(name) or not text.isascii() or not text.isprintable():
            raise InvalidValue(subject=f"The metadata {name!r}", problem="it cannot be sent as a header")
    return {f"{METADATA}{name}": text for name, text in metadata.items()}


def _found(what: str, container: str, name: str, reply: Reply) -> None:
    if reply.status == NOT_FOUND:
        raise NoSuchObject(subject=f"Object {container}/{name}")
    _succeeded(what, reply)


def _succeeded(what: str, reply: Reply) -> None:
    """Raise what a refusal means, with what the store says about it."""
    if refused(reply.status):
        # What is HTML says no more than the status.
        plain = reply.header("Content-Type").startswith(("text/plain", "application/json"))
        said = reply.content.decode("utf-8", "replace") if plain else ""
        raise refusal(what, reply.status, said, reply.header("X-Trans-Id"))


def _decoded(what: str, text: bytes, kind: type[Answer]) -> Answer:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise StorageError(subject=what, problem=f"the store's answer is not understood: {error}") from None


def _size(what: str, reply: Reply) -> int:
    text = reply.header("Content-Length")
    if not text.isascii() or not text.isdigit():
        raise StorageError(subject=what, problem="the store does not say how long it is")
    return int(text)
