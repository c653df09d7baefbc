"""Whether backups build on each other, seen before the first byte of them is read."""

from collections.abc import Sequence
from typing import Any

from guestagent.backup.base import ChainBroken, Stage
from guestagent_mariabackup.positions import Positions


def checked(stages: Sequence[Stage]) -> list[Positions | None]:
    """What is known of the positions of all backups of a chain.

    None: nothing, as of backups that another agent made. Their streams tell when they are unpacked.

    :raises ChainBroken: they do not follow each other, or some are of another strategy.
    """
    if not stages:
        raise ChainBroken(problem="there is no backup in it")
    found = [_recalled(stage.positions, f"backup {number}") for number, stage in enumerate(stages, 1)]
    for number, (stage, here) in enumerate(zip(stages, found, strict=True), 1):
        see_that_it_fits(number, stage, found[number - 2] if number > 1 else None, here)
    return found


def see_that_it_fits(number: int, stage: Stage, before: Positions | None, here: Positions | None) -> None:
    """See that a backup is at its place in the chain, as far as its positions and those before it are known.

    :param number: its place; the first one is 1.
    :raises ChainBroken: it is not.
    """
    if stage.incremental is (number == 1) or (here is not None and stage.incremental is (here.from_lsn == 0)):
        incremental = stage.incremental or (here is not None and here.from_lsn > 0)
        raise ChainBroken(problem=f"backup {number} is {'an incremental' if incremental else 'a full'} one")
    if before is None or here is None:
        return
    if here.from_lsn != before.lsn:
        problem = f"backup {number} begins at {here.from_lsn}, the one before it ends at {before.lsn}"
        raise ChainBroken(problem=problem)
    if here.last_lsn < before.last_lsn:
        # Where the server wrote no checkpoint between two of them, both begin at the same place.
        raise ChainBroken(problem=f"backup {number} is older than the one before it")


def begin(parent: dict[str, Any] | None) -> int | None:
    """Where a backup begins that builds on another one; none: there is none.

    :raises ChainBroken: that one is of another strategy.
    """
    if parent is None:
        return None
    which = "the backup to build on"
    found = _recalled(parent, which)
    if found is None:
        raise _silent(which)
    return found.lsn


def see_that_it_continues(begins: int, made: Positions) -> None:
    """See that the server has not gone back behind the backup that was built on.

    mariadb-backup does not notice, and makes a backup without a change in it.

    :raises ChainBroken: it has.
    """
    if made.from_lsn != begins:
        raise ChainBroken(problem=f"the backup should begin at {begins} and begins at {made.from_lsn}")
    if made.lsn < begins or made.last_lsn < begins:
        problem = f"the server is at {made.last_lsn} and the backup to build on at {begins}; make a full one"
        raise ChainBroken(problem=problem)


def _recalled(kept: dict[str, Any], which: str) -> Positions | None:
    if not kept:
        return None
    try:
        return Positions.recalled(kept)
    except ValueError:
        raise _silent(which) from None


def _silent(which: str) -> ChainBroken:
    return ChainBroken(problem=f"{which} says nothing of where it begins and ends")
