"""Whether backups build on each other, seen before the first byte of them is read."""

from collections.abc import Sequence
from typing import Any

from guestagent.backup.base import ChainBroken, Stage
from guestagent_pg_basebackup.positions import Positions


def checked(stages: Sequence[Stage]) -> list[Positions]:
    """Where all backups of a chain stand.

    :raises ChainBroken: they do not follow each other, or some are of another strategy or another major version.
    """
    if not stages:
        raise ChainBroken(problem="there is no backup in it")
    found = [_recalled(stage.positions, f"backup {number}") for number, stage in enumerate(stages, 1)]
    for number, (stage, here) in enumerate(zip(stages, found, strict=True), 1):
        if stage.incremental is (number == 1):
            problem = f"backup {number} is {'an incremental' if stage.incremental else 'a full'} one"
            raise ChainBroken(problem=problem)
        if number == 1:
            continue
        before = found[number - 2]
        if here.major != before.major:
            problem = f"backup {number} is of PostgreSQL {here.major}, the one before it of {before.major}"
            raise ChainBroken(problem=problem)
        if here.parent_manifest is None or here.parent_manifest != before.manifest:
            raise ChainBroken(problem=f"backup {number} does not build on the one before it")
    return found


def begin(parent: dict[str, Any], major: str) -> str:
    """The SHA-256 of the manifest that a backup builds on.

    :param major: the version of the server that is backed up.
    :raises ChainBroken: nothing can be built on that one.
    """
    which = "the backup to build on"
    found = _recalled(parent, which)
    if found.major != major:
        raise ChainBroken(problem=f"{which} is of PostgreSQL {found.major}, and this is {major}; make a full one")
    if found.manifest is None:
        raise ChainBroken(problem=f"nothing was kept of {which}; make a full one")
    return found.manifest


def _recalled(kept: dict[str, Any], which: str) -> Positions:
    try:
        return Positions.recalled(kept)
    except ValueError:
        raise ChainBroken(problem=f"{which} says nothing of where it begins and ends") from None
