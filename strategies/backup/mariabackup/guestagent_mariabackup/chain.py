"""Whether backups build on each other, seen before the first byte of them is read."""

from collections.abc import Sequence
from typing import Any

from guestagent.backup.base import Stage
from guestagent_mariabackup.errors import ChainBroken
from guestagent_mariabackup.positions import Positions


def checked(stages: Sequence[Stage]) -> list[Positions]:
    """The positions of all backups of a chain.

    :raises ChainBroken: they do not follow each other, or some are of another strategy.
    """
    if not stages:
        raise ChainBroken(problem="there is no backup in it")
    found = [_recalled(stage.positions, f"backup {number}") for number, stage in enumerate(stages, 1)]
    for number, (stage, here) in enumerate(zip(stages, found, strict=True), 1):
        if stage.incremental is (number == 1) or stage.incremental is (here.from_lsn == 0):
            kind = "an incremental" if here.from_lsn or stage.incremental else "a full"
            raise ChainBroken(problem=f"backup {number} of {len(stages)} is {kind} one")
        if number > 1:
            _follow(number, found[number - 2], here)
    return found


def begin(parent: dict[str, Any] | None) -> int | None:
    """Where a backup begins that builds on another one; none: there is none.

    :raises ChainBroken: that one is of another strategy.
    """
    return None if parent is None else _recalled(parent, "the backup to build on").lsn


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


def _recalled(kept: dict[str, Any], which: str) -> Positions:
    try:
        return Positions.recalled(kept)
    except ValueError:
        raise ChainBroken(problem=f"{which} says nothing of where it begins and ends") from None


def _follow(number: int, before: Positions, here: Positions) -> None:
    if here.from_lsn != before.lsn:
        problem = f"backup {number} begins at {here.from_lsn}, the one before it ends at {before.lsn}"
        raise ChainBroken(problem=problem)
    if here.last_lsn < before.last_lsn:
        # Where the server wrote no checkpoint between two of them, both begin at the same place.
        raise ChainBroken(problem=f"backup {number} is older than the one before it")
