"""What a storage strategy does: named objects in named containers."""

import abc
import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, Self

import msgspec
from oslo_config import cfg

from guestagent.contract.context import RequestContext
from guestagent.contract.errors import InvalidValue, NotFound, StorageError


class StoreFull(StorageError):
    """The quota, the store, or what one object may have is used up: trying again is useless."""

    hopeless = True
    id = "storage.full"
    sentence = "{subject} failed: the store has no room ({problem}); delete what is not needed or raise the quota."


class StoreReadOnly(StorageError):
    """Nothing can be written to the store, or not by us: trying again is useless."""

    hopeless = True
    id = "storage.read-only"
    sentence = "{subject} failed: the store cannot be written to ({problem}); mount it for writing, or let us write."


class NoSuchObject(NotFound):
    """The store has no object of that name."""

    id = "storage.no-object"
    sentence = "{subject} does not exist in the object store."


class UnsafeName(InvalidValue):
    """A name would lead out of the place that it is in."""

    id = "storage.unsafe-name"


class Part(msgspec.Struct, frozen=True):
    """An object that is to become a part of another one.

    :ivar name: of the object, in the same container.
    :ivar size: in bytes.
    :ivar md5: hexadecimal, of its content; empty where the store does not know objects by it.
    """

    name: str
    size: int
    md5: str


class Joined(msgspec.Struct, frozen=True):
    """An object that was made of parts.

    :ivar location: what the control plane keeps, and what :meth:`BaseStorage.locate` understands.
    :ivar checksum: what the control plane compares with what the store says of the object before a restore.
    """

    location: str
    checksum: str


class BaseStorage(abc.ABC):
    """Keeps objects. Names are relative, ``/``-separated, and never leave their container.

    :cvar knows_md5: it compares the MD5 of parts that it joins; otherwise nobody need compute them.
    :param conf: all options; a strategy reads its own group.
    """

    knows_md5: ClassVar[bool] = True

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self.conf = conf

    def tidy(self) -> None:  # noqa: B027  most have nothing to do
        """Remove what an agent or a worker that died has left half-written; asked while nothing is written."""

    @abc.abstractmethod
    def put(
        self,
        context: RequestContext,
        container: str,
        name: str,
        chunks: Iterable[bytes],
        metadata: Mapping[str, str] | None = None,
    ) -> int:
        """Keep an object under a name, replacing what was there; it appears whole or not at all.

        :param metadata: short texts that a store with metadata keeps with the object and others ignore; Swift
            shows them as ``X-Object-Meta-<name>``.
        :returns: its size in bytes.
        :raises StorageError: it could not be kept; what was there before is as it was.
        """

    @contextlib.contextmanager
    def batch(self, container: str, name: str) -> Iterator[None]:
        """Let objects below a name become durable together, when the block ends well, and not each by itself.

        They are of use to nobody before. What was there already becomes durable too.

        :raises StorageError: at the end; they may be lost with the machine's power.
        """
        yield

    @abc.abstractmethod
    def get(self, context: RequestContext, container: str, name: str) -> Iterator[bytes]:
        """Read an object.

        :raises NotFound: there is none of that name.
        """

    @abc.abstractmethod
    def list(self, context: RequestContext, container: str, prefix: str = "") -> list[str]:
        """The names of the objects that start with the prefix, sorted; none when there is no container."""

    @abc.abstractmethod
    def delete(self, context: RequestContext, container: str, name: str) -> None:
        """Remove an object; one that is not there is removed already."""

    @abc.abstractmethod
    def size(self, context: RequestContext, container: str, name: str) -> int:
        """The bytes of an object.

        :raises NotFound: there is none of that name.
        """

    def metadata(self, context: RequestContext, container: str, name: str) -> Mapping[str, str]:
        """The short texts that were kept with an object, by their names in lower case; a store without them has none.

        Swift shows them as ``X-Object-Meta-<name>``.

        :raises NotFound: there is none of that name.
        """
        return {}

    @abc.abstractmethod
    def join(self, context: RequestContext, container: str, name: str, parts: Sequence[Part]) -> Joined:
        """Make one object of others, which stay, in their order; by reference where the store can.

        Repeating it is safe.

        :raises StorageError: a part is not there or is another one, or the store refuses.
        """

    @abc.abstractmethod
    def locate(self, location: str) -> tuple[str, str]:
        """The container and the name behind a location.

        :raises InvalidValue: it is not a location of this store.
        """

    def at(self, url: str | None) -> Self:
        """The store as a request names it; one that is always the same is itself.

        :param url: the control plane's ``swift_url``; none: the request names none.
        """
        return self
