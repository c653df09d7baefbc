"""The archived logs of one instance in a store.

| object | what |
| -- | -- |
| ``_logs/<instance>/<log>/00000001``, … | segments of the stored log, as those of a backup |
| ``_logs/<instance>/<log>/<the next log>.json`` | its manifest, written last; without it the log is not archived |

The names alone show what follows what, so that a month of logs is looked through with one listing.
"""

import functools
import math
from collections.abc import Mapping

import msgspec

from guestagent.backup import manifest
from guestagent.backup.manifest import Manifest, ManifestInvalid
from guestagent.backup.patience import Patience
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import GuestAgentError, InvalidValue, NotFound
from guestagent.storage.base import BaseStorage

FOLDER = "_logs"
"""No backup can have this id."""
SUFFIX = ".json"
LOG = "log"
"""The kind that the manifest of a log has."""
INSTANT = Patience(retries=1, seconds=0)


def name_of(one: Manifest) -> str:
    """The name of a log that a manifest is of."""
    return one.id.rpartition("/")[2]


def instances(storage: BaseStorage, context: RequestContext, container: str) -> list[str]:
    """The ids of those that have archived logs in a container."""
    names = storage.list(context, container, f"{FOLDER}/")
    return sorted({found[1] for name in names if len(found := name.split("/")) > 2 and manifest.is_name(found[1])})


class LogMissing(GuestAgentError):
    """A log is not in the store any more, which was there a moment ago."""

    id = "archive.log-missing"
    sentence = "The archived log '{log}' is not in the store any more; nothing after it can be recovered."


class LogStore(msgspec.Struct, frozen=True):
    """Where the logs of one instance are.

    :ivar instance_id: whose they are.
    """

    storage: BaseStorage
    context: RequestContext
    container: str
    instance_id: str

    def __post_init__(self) -> None:
        if not manifest.is_name(self.instance_id):
            problem = "it may hold A-Z a-z 0-9 _ . -"
            raise InvalidValue(subject=f"The instance id {self.instance_id!r}", problem=problem)

    def id_of(self, name: str) -> str:
        """The id of a log among the manifests, which is also how the names of its objects begin."""
        return f"{FOLDER}/{self.instance_id}/{name}"

    def links(self) -> Mapping[str, str]:
        """All archived logs: each one's name to that of the log that goes on where it ends."""
        prefix = f"{FOLDER}/{self.instance_id}/"
        found = {}
        for text in INSTANT.try_to(functools.partial(self.storage.list, self.context, self.container, prefix)):
            name, _, rest = text.removeprefix(prefix).partition("/")
            if rest.endswith(SUFFIX) and manifest.is_name(name):
                found[name] = rest.removesuffix(SUFFIX)
        return found

    def older_than(self, moment: float) -> list[Manifest]:
        """The archived logs that were closed before the second of a moment, oldest first.

        :param moment: seconds since the epoch.
        :raises LogMissing: one has gone meanwhile.
        :raises ManifestInvalid: one cannot be understood.
        """
        found = (self.find(name, ends) for name, ends in self.links().items())
        # Servers may know whole seconds only, of which this moment's is still going on.
        return sorted((one for one in found if one.ended < math.floor(moment)), key=lambda one: one.ended)

    def has(self, name: str) -> bool:
        """Whether a log is archived."""
        return any(text.endswith(SUFFIX) for text in self._objects(name))

    def find(self, name: str, ends: str) -> Manifest:
        """The manifest of an archived log.

        :raises LogMissing: it is gone.
        :raises ManifestInvalid: it cannot be used.
        """
        text = bytearray()
        try:
            for chunk in self.storage.get(self.context, self.container, self._manifest(name, ends)):
                text += chunk
                if len(text) > manifest.LARGEST:
                    raise ManifestInvalid(backup=self.id_of(name), problem="it is too long to be one")
        except NotFound:
            raise LogMissing(log=name) from None
        found = manifest.decode(bytes(text), self.id_of(name))
        if found.kind != LOG or found.instance_id != self.instance_id:
            raise ManifestInvalid(backup=self.id_of(name), problem="it is not that of a log of this instance")
        return found

    def seal(self, name: str, ends: str, made: Manifest) -> None:
        """Write the manifest of a log whose segments are there; repeating it is safe."""
        INSTANT.try_to(
            lambda: self.storage.put(self.context, self.container, self._manifest(name, ends), [manifest.encode(made)])
        )

    def clear(self, name: str) -> None:
        """Remove what is left of a log that was not archived to its end, or a log; repeating it is safe."""
        # The manifest first: what has none is no log.
        for text in sorted(self._objects(name), key=lambda text: not text.endswith(SUFFIX)):
            self.storage.delete(self.context, self.container, text)

    def clear_begun(self) -> None:
        """Remove what is left of all logs that were not archived to their end; repeating it is safe.

        Looks at all there are.
        """
        self.storage.tidy()
        prefix = f"{FOLDER}/{self.instance_id}/"
        names = INSTANT.try_to(functools.partial(self.storage.list, self.context, self.container, prefix))
        parts = [text.removeprefix(prefix).partition("/") for text in names]
        whole = {name for name, _, rest in parts if rest.endswith(SUFFIX)}
        for name in sorted({name for name, _, _ in parts} - whole):
            self.clear(name)

    def _objects(self, name: str) -> list[str]:
        list_all = functools.partial(self.storage.list, self.context, self.container, f"{self.id_of(name)}/")
        return INSTANT.try_to(list_all)

    def _manifest(self, name: str, ends: str) -> str:
        return f"{self.id_of(name)}/{ends}{SUFFIX}"
