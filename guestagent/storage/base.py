"""What a storage strategy does: named objects in named containers."""

import abc
from collections.abc import Iterable, Iterator, Mapping

from oslo_config import cfg

from guestagent.contract.context import RequestContext


class BaseStorage(abc.ABC):
    """Keeps objects. Names are relative, ``/``-separated, and never leave their container.

    :param conf: all options; a strategy reads its own group.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self.conf = conf

    def tidy(self) -> None:  # noqa: B027  most have nothing to do
        """Remove what an agent that died has left half-written; asked once, when an agent has started."""

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
