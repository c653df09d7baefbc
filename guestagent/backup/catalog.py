"""What is in a store: the backups that have a manifest, and what is left of others."""

import hashlib
from collections.abc import Iterator

from guestagent.backup import manifest
from guestagent.backup.manifest import Manifest
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import GuestAgentError, InvalidValue, NotFound
from guestagent.storage.base import BaseStorage, Joined, Part

LONGEST_CHAIN = 1000
JOINED = ".backup"
"""How the name of a backup as one object ends."""


class ParentGone(GuestAgentError):
    """A backup builds on one that is not there."""

    id = "backup.parent-gone"
    sentence = "Backup '{backup}' builds on '{parent}', which is not in the store any more; it cannot be restored."


class NoBackup(GuestAgentError):
    """There is no such backup, or only a piece of one."""

    id = "backup.not-found"
    sentence = "There is no backup at {location}: it has no manifest."


class Catalog:
    """The backups of one container.

    :param storage: the store.
    :param context: of the request.
    """

    def __init__(self, storage: BaseStorage, context: RequestContext, container: str) -> None:
        self.storage = storage
        self.context = context
        self.container = container

    def find(self, backup_id: str) -> Manifest | None:
        """The manifest of a backup; none: there is no such backup.

        :raises ManifestInvalid: it cannot be used.
        """
        name = f"{check_id(backup_id)}/{manifest.NAME}"
        text = bytearray()
        try:
            for chunk in self.storage.get(self.context, self.container, name):
                text += chunk
                if len(text) > manifest.LARGEST:
                    raise manifest.ManifestInvalid(backup=backup_id, problem="it is too long to be one")
        except NotFound:
            return None
        return manifest.decode(bytes(text), backup_id)

    def chain(self, location: str) -> list[Manifest]:
        """The backup at a location and all that it builds on, the one that stands by itself first.

        :raises NoBackup: there is none.
        :raises ParentGone: one that is needed is not there.
        :raises ManifestInvalid: a manifest cannot be used.
        """
        container, name = self.storage.locate(location)
        backup_id = name.removesuffix(JOINED)
        here = Catalog(self.storage, self.context, container)
        found = here.find(backup_id)
        if found is None:
            raise NoBackup(location=location)
        chain = [found]
        while chain[0].parent is not None:
            parent = here.find(chain[0].parent)
            if parent is None or len(chain) == LONGEST_CHAIN:
                raise ParentGone(backup=chain[0].id, parent=chain[0].parent)
            chain.insert(0, parent)
        return chain

    def list(self) -> Iterator[Manifest]:
        """All backups, oldest first.

        :raises ManifestInvalid: a manifest cannot be used.
        """
        names = self.storage.list(self.context, self.container)
        ids = [name.removesuffix(f"/{manifest.NAME}") for name in names if name.endswith(f"/{manifest.NAME}")]
        found = [one for one in map(self.find, ids) if one is not None]
        yield from sorted(found, key=lambda one: one.started)

    def seal(self, made: Manifest) -> Joined:
        """Write the manifest, and make the backup known to the store as one object; repeating it is safe."""
        text = manifest.encode(made)
        name = f"{made.id}/{manifest.NAME}"
        self.storage.put(self.context, self.container, name, [text])
        return self.join(made)

    def join(self, made: Manifest) -> Joined:
        """The backup as one object; repeating it is safe."""
        text = manifest.encode(made)
        parts = [Part(f"{made.id}/{segment.name}", segment.size, segment.md5) for segment in made.segments]
        parts.append(
            Part(f"{made.id}/{manifest.NAME}", len(text), hashlib.md5(text, usedforsecurity=False).hexdigest())
        )
        return self.storage.join(self.context, self.container, f"{made.id}{JOINED}", parts)

    def discard(self, backup_id: str) -> None:
        """Remove a backup or what is left of one; repeating it is safe."""
        prefix = f"{check_id(backup_id)}/"
        self.storage.delete(self.context, self.container, f"{backup_id}{JOINED}")
        # The manifest first: what has none is no backup.
        self.storage.delete(self.context, self.container, f"{prefix}{manifest.NAME}")
        for name in self.storage.list(self.context, self.container, prefix):
            self.storage.delete(self.context, self.container, name)


def check_id(backup_id: str) -> str:
    """The id, if it can name objects.

    :raises InvalidValue: it could lead elsewhere.
    """
    if not manifest.is_name(backup_id):
        raise InvalidValue(subject=f"The backup id {backup_id!r}", problem="it may hold A-Z a-z 0-9 _ . -")
    return backup_id
