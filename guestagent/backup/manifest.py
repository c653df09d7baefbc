"""The manifest: what a backup is. It is written last, so that without it there is no backup."""

import re
from typing import Any, Final

import msgspec

from guestagent.contract.errors import GuestAgentError

SCHEMA: Final = 2
"""Since 2 a stream that has checksums of its own may have no ``sha256``."""
NAME: Final = "manifest.json"
FULL, INCREMENTAL = "full", "incremental"
LARGEST: Final = 1 << 26
"""Bytes; what is called a manifest may be anything."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


class ManifestInvalid(GuestAgentError):
    """What should be a manifest is none, or one that this agent cannot understand."""

    id = "backup.manifest"
    sentence = "The manifest of backup '{backup}' cannot be used: {problem}."


class ManifestNewer(ManifestInvalid):
    """A manifest is of a schema that this agent does not know."""

    id = "backup.manifest-newer"


class Segment(msgspec.Struct, frozen=True):
    """A piece of the stored stream, an object of its own.

    :ivar name: of the object, relative to the backup.
    :ivar size: of the object in bytes.
    :ivar sha256: of the object, hexadecimal.
    :ivar md5: of the object, hexadecimal, where the store knows objects by it, otherwise empty; nothing else is
        believed because of it.
    """

    name: str
    size: int
    sha256: str
    md5: str


class Encryption(msgspec.Struct, frozen=True):
    """How the stored stream is encrypted.

    :ivar algorithm: ``AES-256-GCM`` or ``ChaCha20-Poly1305``, in frames.
    :ivar key_id: names the key; see ``[backup] encryption_keys``.
    :ivar salt: hexadecimal; with the key it gives the key of this backup alone.
    :ivar frame: bytes of plain text in every frame but the last.
    """

    algorithm: str
    key_id: str
    salt: str
    frame: int


class Manifest(msgspec.Struct, frozen=True):
    """Everything that it takes to restore a backup; times in seconds since the epoch, sizes in bytes.

    :ivar schema: :data:`SCHEMA` of its writer.
    :ivar id: of the backup.
    :ivar instance_id: whose data it has.
    :ivar strategy: the name of the entry point that can restore it.
    :ivar strategy_version: of its streams.
    :ivar datastore: the name of the datastore, and the version of its server.
    :ivar kind: ``full`` or ``incremental``.
    :ivar parent: the id of the backup that it builds on.
    :ivar parent_location: where that one is.
    :ivar size: of the stream as the strategy gave it.
    :ivar sha256: of that stream, hexadecimal; none: it has checksums of its own, which a restore compares.
    :ivar stored: of all segments.
    :ivar compression: ``zstd``, ``gzip`` or ``none``.
    :ivar positions: see :class:`guestagent.backup.base.Taken`.
    """

    schema: int
    id: str
    instance_id: str
    strategy: str
    strategy_version: int
    datastore: str
    datastore_version: str
    kind: str
    parent: str | None
    parent_location: str | None
    started: float
    ended: float
    size: int
    sha256: str | None
    stored: int
    compression: str
    encryption: Encryption | None
    segments: list[Segment]
    positions: dict[str, Any] = {}


def encode(manifest: Manifest) -> bytes:
    """The manifest as it is stored."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1)


def decode(text: bytes, backup: str) -> Manifest:
    """A stored manifest.

    :param backup: what it should be of.
    :raises ManifestNewer: it is of a newer schema.
    :raises ManifestInvalid: it is damaged, of another backup, or names objects that are not its own.
    """
    try:
        schema = msgspec.json.decode(text, type=_Schema).schema
    except msgspec.DecodeError as error:
        raise ManifestInvalid(backup=backup, problem=f"it is damaged ({error})") from None
    if schema > SCHEMA:
        problem = f"a newer agent wrote it (schema {schema}, this one knows {SCHEMA}); use a newer image"
        raise ManifestNewer(backup=backup, problem=problem)
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.DecodeError as error:
        raise ManifestInvalid(backup=backup, problem=f"it is damaged ({error})") from None
    if manifest.id != backup:
        raise ManifestInvalid(backup=backup, problem=f"it is that of {manifest.id!r}")
    for segment in manifest.segments:
        if not is_name(segment.name):
            raise ManifestInvalid(backup=backup, problem=f"its segment {segment.name!r} would lie elsewhere")
    return manifest


def is_name(text: str) -> bool:
    """Whether a text can name a backup or a segment: one directory, and never another one's."""
    return _ID.fullmatch(text) is not None


class _Schema(msgspec.Struct):
    schema: int
