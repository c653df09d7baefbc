"""The way of a backup out of a store: the stages put together, the other way round."""

import hashlib
from collections.abc import Iterator

from guestagent.backup import compression, encryption, segments
from guestagent.backup.keyring import UnknownKey
from guestagent.backup.lanes import Lanes
from guestagent.backup.manifest import Manifest, ManifestInvalid
from guestagent.backup.progress import Meter, Progress, silent
from guestagent.backup.segments import Shelf
from guestagent.backup.settings import Settings
from guestagent.backup.throttle import Throttle
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import GuestAgentError
from guestagent.storage.base import BaseStorage
from guestagent.system import waiting


class StreamDamaged(GuestAgentError):
    """All pieces of a backup are what they should be, and together they are not the stream that was backed up."""

    id = "backup.stream-damaged"
    sentence = "The stream of backup '{backup}' is not what was backed up: {problem}; restore from another backup."


def read(
    found: Manifest,
    storage: BaseStorage,
    context: RequestContext,
    container: str,
    settings: Settings,
    progress: Progress = silent,
) -> Iterator[bytes]:
    """The stream of a backup as the strategy had given it.

    Every segment is verified before a byte of it is used, and every frame; whether it is the whole stream, and
    the right one, shows when the iterator ends. **One that is not exhausted proves nothing.** It is used, and the
    progress told, in one thread.

    :raises SegmentMissing: a segment is not in the store.
    :raises SegmentDamaged: it is another one.
    :raises UnknownKey: the key is not here.
    :raises WrongKey: another one has its name.
    :raises FrameDamaged: the encrypted stream is damaged.
    :raises BlockDamaged: the compressed stream is damaged.
    :raises StreamDamaged: the stream is not the one of the manifest.
    :raises ManifestInvalid: this agent cannot read what the manifest describes.
    :raises StorageError: the store refused for longer than ``[backup]`` has patience.
    :raises GuestAgentError: the operation was cancelled.
    """
    if found.compression not in compression.METHODS:
        problem = f"this agent does not know the compression '{found.compression}'; use a newer image"
        raise ManifestInvalid(backup=found.id, problem=problem)
    if found.encryption is not None and settings.keys is None:
        raise UnknownKey(backup=found.id, key_id=found.encryption.key_id)
    for segment in found.segments:
        if not 0 <= segment.size <= segments.LARGEST:
            raise ManifestInvalid(backup=found.id, problem=f"no segment has {segment.size} bytes, as {segment.name}")
    stored = sum(segment.size for segment in found.segments)
    if stored != found.stored:
        problem = f"its manifest has segments of {stored} bytes, and there were {found.stored}"
        raise StreamDamaged(backup=found.id, problem=problem)
    shelf = Shelf(storage, context, container, found.id, Throttle(settings.bandwidth_limit), settings.patience)
    return _verified(found, shelf, settings, Meter(progress, found.size))


def _verified(found: Manifest, shelf: Shelf, settings: Settings, meter: Meter) -> Iterator[bytes]:
    throttle = Throttle(settings.io_limit)
    sha256 = hashlib.sha256() if found.sha256 else None
    with (
        Lanes(settings.parallel, "download") as carriers,
        Lanes(settings.threads, "decompress", compression.NICE) as unpackers,
    ):
        for chunk in _plain(found, shelf, settings, carriers, unpackers):
            waiting.check()
            throttle.take(len(chunk))
            if sha256:
                sha256.update(chunk)
            if meter.done + len(chunk) > found.size:
                raise StreamDamaged(backup=found.id, problem=f"it goes on after {found.size} bytes, where it ended")
            meter.count(len(chunk))
            yield chunk
            del chunk
    if meter.done != found.size:
        raise StreamDamaged(backup=found.id, problem=f"it ends after {meter.done} of {found.size} bytes")
    if sha256 and sha256.hexdigest() != found.sha256:
        raise StreamDamaged(backup=found.id, problem=f"the SHA-256 of its {found.size} bytes is another one")
    meter.end()


def _plain(found: Manifest, shelf: Shelf, settings: Settings, carriers: Lanes, unpackers: Lanes) -> Iterator[bytes]:
    where = segments.where(found.segments)
    chunks = segments.joined(shelf, found.segments, carriers, settings.parallel)
    if found.encryption is not None and settings.keys is not None:
        chunks = encryption.decrypt(chunks, found.encryption, settings.keys, found.id, where)

    def compressed(offset: int) -> str:
        return where(encryption.before(offset, found.encryption))

    ahead = settings.threads + compression.AHEAD
    return compression.decompress(chunks, found.compression, unpackers, ahead, found.id, compressed)
