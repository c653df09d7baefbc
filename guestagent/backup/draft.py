"""The draft of a backup: what a worker that died has left of it, for the next one to go on with.

What is stored depends on the strategy's stream, the way of compressing and encrypting, and the salt, and on nothing
else. So the next worker makes the whole stored stream again, and sends the segments that are not in the store: what
a reader finds is what it would have found. That takes a strategy whose stream can be made again.

The draft says what every segment is before a byte of it is sent. A segment that comes out as another one is never
sent, so that nobody sees two things that were encrypted with one key and one nonce. That is why the draft is on the
guest and not in the store: who could change it there could have it happen.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

import msgspec

from guestagent.backup import manifest
from guestagent.contract.errors import GuestAgentError, SystemFailure
from guestagent.system import files

KEPT: Final = "kept"
_SEGMENTS: Final = "segments"
_DIGEST = re.compile(r"[0-9a-f]{64}")


class NotRepeated(GuestAgentError):
    """A stream that should be the one of before is another one."""

    id = "backup.not-repeated"
    sentence = (
        "What backup '{backup}' is made of has changed since it was begun: segment {number} is another one; "
        "it begins anew."
    )


class Recipe(msgspec.Struct, frozen=True):
    """What a stored stream depends on beside the stream of the strategy.

    :ivar backup: its id.
    :ivar strategy: its name, and the version of its streams.
    :ivar parent: the id of the backup that it builds on.
    :ivar segment_size: bytes.
    """

    backup: str
    strategy: str
    version: int
    parent: str | None
    compression: str
    level: int
    segment_size: int
    encryption: manifest.Encryption | None

    def same_as(self, other: Self) -> bool:
        """Whether it is the same but for the salt."""
        return self._unsalted() == other._unsalted()

    def _unsalted(self) -> Self:
        if self.encryption is None:
            return self
        return msgspec.structs.replace(self, encryption=msgspec.structs.replace(self.encryption, salt=""))


class Draft(msgspec.Struct, frozen=True):
    """A draft in a directory, which holds no other.

    :ivar recipe: how its stored stream is made.
    :ivar begun: the SHA-256 of each segment that was begun to be sent, the first one first.
    """

    directory: Path
    recipe: Recipe
    begun: list[str]

    @classmethod
    def take_up(cls, directory: Path, recipe: Recipe, account: str | None) -> Self:
        """The draft that is there, if it is one of the same recipe; otherwise a new one.

        :param account: whom the strategy's part of it belongs to.
        :raises SystemFailure: the disk refuses.
        """
        found = _read(directory / _SEGMENTS)
        if found is not None and found[0].same_as(recipe):
            draft = cls(directory, *found)
        else:
            discard(directory)
            draft = cls(directory, recipe, [])
        with _told(directory):
            # The strategy's part is the account's; what else there is must be believed.
            files.ensure_directory(directory, mode=0o711)
            files.ensure_directory(directory / KEPT, mode=0o700, owner=account, group=account)
            lines = [msgspec.json.encode(draft.recipe).decode(), *draft.begun]
            files.write(directory / _SEGMENTS, "".join(f"{line}\n" for line in lines))
        return draft

    def end(self, count: int) -> None:
        """All segments have been begun with, so many.

        :raises NotRepeated: an earlier worker has begun with more.
        """
        if count < len(self.begun):
            raise NotRepeated(backup=self.recipe.backup, number=count + 1)

    def begin(self, sha256: str, number: int) -> bool:
        """A segment will be sent now; the numbers follow each other, and the first is 1.

        :returns: whether it was begun to be sent before.
        :raises NotRepeated: it was, and was another one.
        :raises SystemFailure: the disk refuses.
        """
        if number <= len(self.begun):
            if self.begun[number - 1] != sha256:
                raise NotRepeated(backup=self.recipe.backup, number=number)
            return True
        with _told(self.directory), (self.directory / _SEGMENTS).open("a") as stream:
            stream.write(f"{sha256}\n")
            stream.flush()
            os.fdatasync(stream.fileno())
        self.begun.append(sha256)
        return False


def discard(directory: Path) -> None:
    """Remove what is left of a draft, and what the strategy kept with it; repeating it is safe."""
    # First what makes it one: the rest alone is nothing.
    (directory / _SEGMENTS).unlink(missing_ok=True)
    files.remove_tree(directory)


def _read(path: Path) -> tuple[Recipe, list[str]] | None:
    try:
        first, *lines = path.read_text().splitlines()
        recipe = msgspec.json.decode(first, type=Recipe)
    except (OSError, ValueError, msgspec.DecodeError):
        return None
    begun = []
    for line in lines:
        if not _DIGEST.fullmatch(line):
            break  # its segment was not begun to be sent
        begun.append(line)
    return recipe, begun


@contextlib.contextmanager
def _told(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SystemFailure(subject=f"Writing {directory}", problem=error.strerror or error) from error
