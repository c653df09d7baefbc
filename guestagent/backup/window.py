"""How far archived logs lead on from backups, and which of them lead to a point."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from guestagent.backup.archive import BaseArchiveStrategy, Point, moment
from guestagent.backup.log_store import LogStore, name_of
from guestagent.backup.manifest import Manifest
from guestagent.contract.backups import RecoverableBackup, RecoveryWindow
from guestagent.contract.errors import GuestAgentError, InvalidValue

NOT_YET = "what was done then is not archived, or not yet"


class OutsideWindow(GuestAgentError):
    """There is no way to the point from the backup; nothing was touched."""

    id = "archive.outside-window"
    sentence = "Backup '{backup}' can be brought to what was from {since} to {until}, and not to {point}: {problem}."


class Reach(msgspec.Struct, frozen=True):
    """How far logs lead on from one backup.

    :ivar logs: the names of those that follow it without a gap, in their order.
    :ivar last: the manifest of the last of them; none: there is none.
    :ivar gap: why they do not lead on to the newest one; none: they do.
    """

    backup: Manifest
    logs: Sequence[str]
    last: Manifest | None
    gap: str | None

    @property
    def until(self) -> float:
        """All that was done before is in the backup or in the logs; seconds since the epoch."""
        return max(self.backup.ended, self.last.ended) if self.last else self.backup.ended


class LogChart:
    """The logs of one instance and what follows what, looked at once.

    :raises GuestAgentError: the store cannot be read.
    """

    def __init__(self, strategy: BaseArchiveStrategy, store: LogStore) -> None:
        self._strategy = strategy
        self._store = store
        self._links: Mapping[str, str] = store.links()
        ends = (self._find(name) for name, after in self._links.items() if after not in self._links)
        self._newest = max(ends, key=lambda one: one.ended, default=None)

    def reach(self, backup: Manifest) -> Reach:
        """How far the logs lead on from a backup."""
        try:
            first = self._first(backup)
        except InvalidValue as error:
            return Reach(backup, (), None, str(error.facts["problem"]))
        if first is None:
            is_behind = self._newest is not None and self._newest.ended > backup.ended
            return Reach(backup, (), None, "the log that it stands in is not in the store" if is_behind else None)
        names = [first]
        while (after := self._links[names[-1]]) in self._links and after not in names:
            names.append(after)
        last = self._find(names[-1])
        is_whole = self._newest is None or last.id == self._newest.id
        gap = None if is_whole else f"the log '{after}', which goes on then, is not in the store"
        return Reach(backup, names, last, gap)

    def way(self, backup: Manifest, point: Point) -> list[Manifest]:
        """The logs that lead from a backup to a point, in their order; none: the backup is just there.

        :raises OutsideWindow: there is no such way.
        """
        reach = self.reach(backup)
        if point.time is not None:
            return self._way_to_time(reach, point, point.time)
        return self._way_to_position(reach, point, point.position or "")

    def window(self, backups: Iterable[Manifest]) -> RecoveryWindow:
        """What can be restored of the instance.

        :param backups: any; those of other instances are left out.
        """
        ours = sorted((one for one in backups if one.instance_id == self._store.instance_id), key=lambda one: one.ended)
        found = [self._recoverable(self.reach(backup)) for backup in ours]
        last = max(found, key=lambda one: one.until, default=None)
        return RecoveryWindow(
            self._store.instance_id,
            found[0].since if found else None,
            last.until if last else None,
            last.position if last else None,
            found,
        )

    def _way_to_time(self, reach: Reach, point: Point, time: float) -> list[Manifest]:
        if time < reach.backup.ended:
            raise self._outside(reach, point, "the backup itself is later; take an older one")
        if time > reach.until:
            raise self._outside(reach, point, reach.gap or NOT_YET)
        found: list[Manifest] = []
        for name in reach.logs if time > reach.backup.ended else ():
            one = self._find(name)
            if found and one.started >= time:
                break
            found.append(one)
        return found

    def _way_to_position(self, reach: Reach, point: Point, position: str) -> list[Manifest]:
        if self._strategy.has(reach.backup.positions, position):
            raise self._outside(reach, point, "the backup itself is later, or just there")
        found: list[Manifest] = []
        has: bool | None = False
        for name in reach.logs:
            found.append(self._find(name))
            has = self._strategy.has(found[-1].positions, position)
            if has:
                break
        if has is False:
            raise self._outside(reach, point, reach.gap or NOT_YET)
        return found

    def _recoverable(self, reach: Reach) -> RecoverableBackup:
        backup, position = reach.backup, self._strategy.spelled((reach.last or reach.backup).positions)
        return RecoverableBackup(backup.id, backup.ended, reach.until, position, len(reach.logs), reach.gap)

    def _first(self, backup: Manifest) -> str | None:
        """The log that a backup stands in."""
        named = [name for name in self._links if self._strategy.begins_in(backup.positions, name)]
        # A server that was told to begin anew uses its names again.
        older = [one for one in map(self._find, named) if one.started <= backup.ended]
        youngest = max(older, key=lambda one: one.started, default=None)
        return None if youngest is None else name_of(youngest)

    def _find(self, name: str) -> Manifest:
        return self._store.find(name, self._links[name])

    def _outside(self, reach: Reach, point: Point, problem: str) -> OutsideWindow:
        backup, ends = reach.backup, [one.positions for one in (reach.backup, reach.last) if one is not None]
        since, until = (
            f"{moment(seconds)} ({self._strategy.spelled(positions) or 'no position'})"
            for seconds, positions in ((backup.ended, ends[0]), (reach.until, ends[-1]))
        )
        return OutsideWindow(backup=backup.id, point=point, since=since, until=until, problem=problem)
