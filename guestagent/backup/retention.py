"""Which backups go: a rule, and what it means for each of them. Nothing is touched here."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from guestagent.backup.manifest import Manifest
from guestagent.contract.errors import InvalidValue


class Rule(msgspec.Struct, frozen=True):
    """What is kept. With both halves a backup stays that one of them keeps.

    :ivar newest: so many of each instance, those that were begun last; a container may be shared, and nobody's only
        backup must go because somebody else has many.
    :ivar younger: those whose data are younger than so many seconds.
    """

    newest: int | None = None
    younger: float | None = None

    def __post_init__(self) -> None:
        if self.newest is None and self.younger is None:
            raise InvalidValue(subject="The rule", problem="it would keep nothing; say how many, or how old")


class Decision(msgspec.Struct, frozen=True):
    """What becomes of one backup, and why.

    :ivar reason: a few words for a person.
    """

    backup: Manifest
    removed: bool
    reason: str


def decide(backups: Sequence[Manifest], pinned: Collection[str], now: float, rule: Rule) -> list[Decision]:
    """Which of the backups go; what another one that stays builds on stays with it.

    :param backups: all of the container: what is not among them counts as gone.
    :param pinned: the ids of those that stay whatever the rule says.
    :param now: seconds since the epoch.
    :returns: a decision for each, in their order.
    """
    by_id = {one.id: one for one in backups}
    reasons = {one.id: _broken(one, by_id) for one in backups}
    newest = _newest([one for one in backups if reasons[one.id] is None], rule.newest)
    for one in backups:
        if one.id in pinned:
            reasons[one.id] = "pinned"
        elif one.id in newest:
            reasons[one.id] = f"among the newest {rule.newest} of its instance"
        elif rule.younger is not None and now - one.ended < rule.younger:
            reasons[one.id] = "young enough"
    for kept in [one for one in backups if reasons[one.id] is not None]:
        for needed in _below(kept, by_id):
            reasons[needed.id] = reasons[needed.id] or f"'{kept.id}' builds on it"
    gone = _words(rule)
    return [Decision(one, reasons[one.id] is None, reasons[one.id] or gone) for one in backups]


def removal_order(backups: Iterable[Manifest]) -> list[Manifest]:
    """The backups so that each comes before what it builds on, and among those the oldest first.

    Whoever stops in the middle leaves no backup that has lost what it builds on.
    """
    by_id = {one.id: one for one in backups}
    return sorted(by_id.values(), key=lambda one: (-len(list(_below(one, by_id))), one.started, one.id))


def built_on(backup_id: str, backups: Iterable[Manifest]) -> list[Manifest]:
    """Those that build directly on a backup."""
    return [one for one in backups if one.parent == backup_id and one.id != backup_id]


def _below(one: Manifest, by_id: Mapping[str, Manifest]) -> Iterator[Manifest]:
    """What a backup builds on, nearest first, as far as it is there; one that builds on itself ends too."""
    seen = {one.id}
    while one.parent is not None and one.parent in by_id and one.parent not in seen:
        one = by_id[one.parent]
        seen.add(one.id)
        yield one


def _broken(one: Manifest, by_id: Mapping[str, Manifest]) -> str | None:
    """Why a backup cannot be restored; it is no substitute for another one then, and a person should see it."""
    *_, lowest = [one, *_below(one, by_id)]
    if lowest.parent is None:
        return None
    return f"'{lowest.parent}' is gone, on which it builds; look into that and delete it by hand"


def _newest(backups: Sequence[Manifest], most: int | None) -> set[str]:
    left: dict[str, int] = {}
    found = set()
    # Not by their ends: a strategy may know those in whole seconds only.
    for one in sorted(backups, key=lambda one: (one.started, one.id), reverse=True):
        left[one.instance_id] = left.get(one.instance_id, most or 0) - 1
        if left[one.instance_id] >= 0:
            found.add(one.id)
    return found


def _words(rule: Rule) -> str:
    if rule.younger is None:
        return f"not among the newest {rule.newest} of its instance"
    return "too old" if rule.newest is None else f"too old, and not among the newest {rule.newest} of its instance"
