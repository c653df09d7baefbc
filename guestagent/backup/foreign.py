"""Backups that Trove's own agent made: single objects without a manifest, whose names say what they are.

What a manifest would say is put together: from the name how the stream was compressed and encrypted, from the store's
metadata which backup it builds on, from the control plane what its MD5 is. Where its data stand nobody knows before
the strategy has unpacked it.
"""

import functools
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec
from oslo_config import cfg
from oslo_log import log

from guestagent.backup import compression, salted, settings
from guestagent.backup.base import BaseBackupStrategy, Stage
from guestagent.backup.catalog import JOINED, LONGEST_CHAIN, NoBackup, ParentGone
from guestagent.backup.lanes import Lanes
from guestagent.backup.progress import Meter
from guestagent.backup.reader import StreamDamaged
from guestagent.backup.salted import PasswordMissing
from guestagent.backup.throttle import Throttle
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import GuestAgentError, NotFound
from guestagent.plugins.installed import Group
from guestagent.plugins.loader import load_one
from guestagent.storage.base import BaseStorage
from guestagent.system import waiting

LOG = log.getLogger(__name__)

XBSTREAM: Final = "xbstream"
PARENT, PARENT_CHECKSUM = "parent-location", "parent-checksum"
"""The metadata with which Trove's agent keeps an incremental backup."""

_FORM = re.compile(r"(?P<id>[A-Za-z0-9_-]+)\.(?P<kind>[a-z0-9]+)(?P<gzip>\.gz)?(?P<encrypted>\.enc)?")
_GZIP_BEGINS = b"\x1f\x8b\x08\x00"
_BEGINS: Mapping[str, bytes] = {XBSTREAM: b"XBSTCK01"}
"""How streams begin, by which a password is known to be the right one."""


class NoReader(GuestAgentError):
    """The image holds no strategy for streams of this kind."""

    id = "backup.no-reader"
    sentence = (
        "Backup '{backup}' was made by Trove's own agent, and no strategy of this image restores its '{kind}'; "
        "use an image with one that does."
    )


class ChainUnknown(GuestAgentError):
    """A backup builds on another one, and nobody says on which."""

    id = "backup.chain-unknown"
    sentence = (
        "Backup '{backup}' builds on another one, and the store does not say on which; restore it from the store that "
        "Trove's own agent kept it in, or restore a full backup."
    )


class ChecksumDiffers(GuestAgentError):
    """What the store holds is not what the control plane knows of."""

    id = "backup.checksum"
    sentence = (
        "Backup '{backup}' is not the one that the control plane knows: its checksum is {found} and should be "
        "{expected}; restore from another backup."
    )


class Form(msgspec.Struct, frozen=True):
    """What a name says.

    :ivar id: of the backup.
    :ivar kind: of its stream, once it is plain.
    """

    id: str
    kind: str
    gzipped: bool
    encrypted: bool

    @property
    def begins(self) -> bytes:
        """How it begins once it is decrypted; empty: it is not known."""
        return _GZIP_BEGINS if self.gzipped else _BEGINS.get(self.kind, b"")


class Foreign(msgspec.Struct, frozen=True):
    """A backup in a store.

    :ivar size: of the object, in bytes.
    :ivar checksum: as Trove has it, see :class:`_Digest`; none: nobody knows.
    :ivar parent: the location of the backup that it builds on.
    :ivar parent_checksum: that one's.
    """

    form: Form
    container: str
    name: str
    size: int
    checksum: str | None
    parent: str | None
    parent_checksum: str | None


def recognise(name: str) -> Form | None:
    """What the name of an object says, if it has the form of Trove's."""
    found = _FORM.fullmatch(name)
    if found is None or name.endswith(JOINED):
        return None
    return Form(found["id"], found["kind"], bool(found["gzip"]), bool(found["encrypted"]))


def chain(
    storage: BaseStorage,
    context: RequestContext,
    location: str,
    checksum: str | None = None,
    incremental: bool = False,
) -> list[Foreign]:
    """The backup at a location and all that it builds on as far as the store says so, the full one first.

    :param checksum: what the control plane knows of the one at the location.
    :param incremental: the control plane knows that it builds on another one.
    :raises NoBackup: there is none, or none of Trove's.
    :raises ParentGone: one that is needed is not there.
    :raises ChainUnknown: the store does not say on which one it builds.
    """
    found = [_look(storage, context, location, checksum)]
    while (parent := found[0].parent) is not None:
        gone = ParentGone(backup=found[0].form.id, parent=parent)
        if len(found) == LONGEST_CHAIN:
            raise gone
        try:
            before = _look(storage, context, parent, found[0].parent_checksum)
        except NoBackup:
            raise gone from None
        if before.form.kind != found[0].form.kind:
            raise gone
        found.insert(0, before)
    if incremental and len(found) == 1:
        raise ChainUnknown(backup=found[0].form.id)
    return found


def strategy(conf: cfg.ConfigOpts, form: Form) -> type[BaseBackupStrategy]:
    """The strategy of the image that can restore it.

    :raises NoReader: there is none.
    """
    for name in conf.image.backup_strategies:
        found = load_one(Group.BACKUP, name, BaseBackupStrategy)  # type: ignore[type-abstract]
        if form.kind in found.foreign:
            return found
    raise NoReader(backup=form.id, kind=form.kind)


def stages(
    found: Sequence[Foreign], storage: BaseStorage, context: RequestContext, conf: cfg.ConfigOpts, meter: Meter
) -> list[Stage]:
    """A chain as a strategy gets it; nothing is read yet.

    :param meter: counts the bytes of the objects.
    :raises PasswordMissing: one is encrypted, and the guest has no password.
    """
    for one in found:
        if one.form.encrypted and not conf.backup.trove_aes_cbc_key:
            raise PasswordMissing(backup=one.form.id)
    return [
        Stage(_read(one, storage, context, conf, meter), positions={}, incremental=number > 0)
        for number, one in enumerate(found)
    ]


def _look(storage: BaseStorage, context: RequestContext, location: str, checksum: str | None) -> Foreign:
    container, name = storage.locate(location)
    form = recognise(name)
    if form is None:
        raise NoBackup(location=location)
    try:
        size = storage.size(context, container, name)
        kept = storage.metadata(context, container, name)
    except NotFound:
        raise NoBackup(location=location) from None
    return Foreign(form, container, name, size, checksum, kept.get(PARENT), kept.get(PARENT_CHECKSUM))


def _read(
    one: Foreign, storage: BaseStorage, context: RequestContext, conf: cfg.ConfigOpts, meter: Meter
) -> Iterator[bytes]:
    """Its stream as Trove's agent had it from its program.

    Whether it is the right one shows when the iterator ends. **One that is not exhausted proves nothing.**

    :raises ChecksumDiffers: it is another one.
    :raises StreamDamaged: it is not whole.
    :raises WrongPassword: the password is another one.
    :raises SaltedDamaged: the encrypted stream is damaged.
    :raises BlockDamaged: the compressed stream is damaged.
    """
    how = settings.read(conf)
    # Only its beginning is tried again: a store gives an object from its first byte, and half of it has been used.
    stored = how.patience.try_to(functools.partial(storage.get, context, one.container, one.name))
    digest = _Digest(conf.backup.trove_segment_size)
    chunks = _verified(one, Throttle(how.bandwidth_limit).pass_on(stored), digest, meter)
    if one.form.encrypted:
        chunks = salted.decrypt(chunks, conf.backup.trove_aes_cbc_key.encode(), one.form.begins, one.form.id)
    method = compression.GZIP if one.form.gzipped else compression.NONE
    throttle = Throttle(how.io_limit)
    with Lanes(1, "decompress") as lanes:
        for chunk in compression.decompress(chunks, method, lanes, 1, one.form.id, "byte {} of it".format):
            throttle.take(len(chunk))
            yield chunk


def _verified(one: Foreign, chunks: Iterable[bytes], digest: "_Digest", meter: Meter) -> Iterator[bytes]:
    for chunk in chunks:
        waiting.check()
        digest.update(chunk)
        meter.count(len(chunk))
        yield chunk
    if digest.size != one.size:
        raise StreamDamaged(backup=one.form.id, problem=f"it has {digest.size} of its {one.size} bytes")
    if one.checksum is None:
        LOG.warning("Nobody knows the checksum of backup '%s'; it is restored as it is", one.form.id)
    elif one.checksum.strip('"').lower() not in (found := digest.forms()):
        raise ChecksumDiffers(backup=one.form.id, found=" or ".join(found), expected=one.checksum)


class _Digest:
    """The checksum of an object as Trove has it, which is what Swift calls its ETag.

    Of a small object it is the MD5. A larger one was cut into segments, and it is the MD5 of their MD5s. Which of
    them it is does not matter: neither can be had by accident.

    :param segment: bytes of a segment.
    """

    def __init__(self, segment: int) -> None:
        self.size = 0
        self._segment = segment
        self._whole = hashlib.md5(usedforsecurity=False)
        self._part = hashlib.md5(usedforsecurity=False)
        self._parts = hashlib.md5(usedforsecurity=False)

    def update(self, chunk: bytes) -> None:
        """The next bytes of the object."""
        self._whole.update(chunk)
        rest = memoryview(chunk)
        while rest:
            if self.size and self.size % self._segment == 0:
                # A segment is complete only when something follows it.
                self._parts.update(self._part.hexdigest().encode())
                self._part = hashlib.md5(usedforsecurity=False)
            here = rest[: self._segment - self.size % self._segment]
            self._part.update(here)
            self.size += len(here)
            rest = rest[len(here) :]

    def forms(self) -> tuple[str, str]:
        """What it can be, of all that has come."""
        parts = self._parts.copy()
        parts.update(self._part.hexdigest().encode())
        return self._whole.hexdigest(), parts.hexdigest()
