"""What is in a store: the backups that have a manifest, and what is left of others."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from guestagent.backup import manifest
from guestagent.backup.manifest import Manifest, ManifestInvalid
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import GuestAgentError, NotFound
from guestagent.storage.base import BaseStorage, Joined, Part, UnsafeName

LONGEST_CHAIN = 1000
JOINED = ".backup"
"""How the name of a backup as one object ends."""
PIN = "pin"
"""The object of a backup that says that it must stay."""
LONGEST_PIN = 1 << 16
_SEGMENT = re.compile(r"[0-9]{8,}")


class ParentGone(GuestAgentError):
    """A backup builds, or should build, on one that is not there."""

    id = "backup.parent-gone"
    sentence = "Backup '{backup}' builds on '{parent}', which is not in the store any more; use a full backup."


class NoBackup(GuestAgentError):
    """There is no such backup, or only a piece of one."""

    id = "backup.not-found"
    sentence = "There is no backup at {location}: it has no manifest."


class IdTaken(GuestAgentError):
    """The store has another backup of the same id."""

    id = "backup.id-taken"
    sentence = "The store has another backup '{backup}': {problem}; it stays as it is, ask for one of another id."


class Pin(msgspec.Struct, frozen=True):
    """Why a backup must stay.

    :ivar who: has said so.
    :ivar when: seconds since the epoch.
    """

    who: str = "?"
    when: float = 0.0
    why: str = ""


class Survey(msgspec.Struct, frozen=True):
    """Everything of backups that is in a container.

    :ivar backups: those whose manifest can be used, oldest first.
    :ivar unusable: why the manifest of others cannot be used, by id.
    :ivar unfinished: the ids of those without a manifest: they are being made, or were given up.
    :ivar pins: by id.
    """

    backups: Sequence[Manifest]
    unusable: Mapping[str, ManifestInvalid]
    unfinished: Sequence[str]
    pins: Mapping[str, Pin]


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
        here = Catalog(self.storage, self.context, container)
        try:
            return here.chain_of(name.removesuffix(JOINED))
        except NoBackup:
            raise NoBackup(location=location) from None

    def chain_of(self, backup_id: str) -> list[Manifest]:
        """As :meth:`chain`, by the id of a backup in this container."""
        found = self.find(backup_id)
        if found is None:
            raise NoBackup(location=f"{self.container}/{backup_id}")
        chain = [found]
        while chain[0].parent is not None:
            parent = self.find(chain[0].parent) if manifest.is_name(chain[0].parent) else None
            if parent is None or len(chain) == LONGEST_CHAIN:
                raise ParentGone(backup=chain[0].id, parent=chain[0].parent)
            chain.insert(0, parent)
        return chain

    def list(self) -> Iterator[Manifest]:
        """All backups, oldest first.

        :raises ManifestInvalid: a manifest cannot be used.
        """
        survey = self.survey()
        for error in survey.unusable.values():
            raise error
        yield from survey.backups

    def survey(self) -> Survey:
        """Look at everything; what is not of a backup is passed over."""
        whole, begun = set(), set()
        for backup_id, name in self._objects():
            if name == manifest.NAME:
                whole.add(backup_id)
            elif _SEGMENT.fullmatch(name):
                begun.add(backup_id)
        found, unusable = [], {}
        for backup_id in sorted(whole):
            try:
                one = self.find(backup_id)
            except ManifestInvalid as error:
                unusable[backup_id] = error
                continue
            if one is not None:
                found.append(one)
        return Survey(sorted(found, key=lambda one: one.started), unusable, sorted(begun - whole), self.pinned())

    def pin(self, backup_id: str, pin: Pin) -> None:
        """Say that a backup must stay; one that was pinned before is pinned for the new reason.

        :raises NoBackup: there is none.
        :raises ManifestInvalid: its manifest cannot be used.
        """
        if self.find(backup_id) is None:
            raise NoBackup(location=f"{self.container}/{backup_id}")
        self.storage.put(self.context, self.container, f"{backup_id}/{PIN}", [msgspec.json.encode(pin)])

    def unpin(self, backup_id: str) -> None:
        """Let a backup go when its time has come; one that is not pinned is unpinned already."""
        self.storage.delete(self.context, self.container, f"{check_id(backup_id)}/{PIN}")

    def pinned(self) -> Mapping[str, Pin]:
        """The pins by the ids of their backups."""
        return {backup_id: self._pin(backup_id) for backup_id, name in self._objects() if name == PIN}

    def _objects(self) -> Iterator[tuple[str, str]]:
        """The objects that can be of a backup: its id, and the name in it."""
        for text in self.storage.list(self.context, self.container):
            backup_id, _, name = text.rpartition("/")
            if manifest.is_name(backup_id):
                yield backup_id, name

    def _pin(self, backup_id: str) -> Pin:
        text = bytearray()
        try:
            for chunk in self.storage.get(self.context, self.container, f"{backup_id}/{PIN}"):
                text += chunk
                if len(text) > LONGEST_PIN:
                    break
            return msgspec.json.decode(bytes(text), type=Pin)
        except (NotFound, msgspec.DecodeError):
            # Whoever wrote it wanted the backup to stay.
            return Pin()

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

    :raises UnsafeName: it could lead elsewhere.
    """
    if not manifest.is_name(backup_id):
        raise UnsafeName(subject=f"The backup id {backup_id!r}", problem="it may hold A-Z a-z 0-9 _ . -")
    return backup_id
