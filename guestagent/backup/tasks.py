"""The jobs: a backup, a restore, and reading a backup through; those about logs are elsewhere."""

import functools
from collections.abc import Sequence
from pathlib import Path

from oslo_config import cfg

from guestagent.backup import foreign, log_tasks, making, manifest, reader, settings
from guestagent.backup.base import BaseBackupStrategy, Stage
from guestagent.backup.catalog import Catalog, NoBackup
from guestagent.backup.job import (
    Archive,
    Backup,
    ClearLogs,
    Discard,
    Done,
    Job,
    Look,
    Place,
    Restore,
    Result,
    ServerFacts,
    Verify,
)
from guestagent.backup.manifest import Manifest
from guestagent.backup.opening import open_catalog
from guestagent.backup.progress import Meter, Progress
from guestagent.backup.replay import Replay
from guestagent.backup.strategies import check_strategy, scratch, server_of
from guestagent.contract.errors import GuestAgentError, InvalidValue
from guestagent.plugins.installed import Group
from guestagent.plugins.loader import load_one
from guestagent.system import volume


class NoRoom(GuestAgentError):
    """The volume is too small for what is to be restored."""

    id = "backup.no-room"
    sentence = "Restoring backup '{backup}' takes {needed} MiB and {target} has {left}; use a larger volume."


def do(conf: cfg.ConfigOpts, job: Job, progress: Progress) -> Result:
    """Do a job.

    :raises GuestAgentError: it has failed; nothing of it is left.
    """
    match job:
        case Backup():
            return making.make(conf, open_catalog(conf, job.place, job.context), job, progress)
        case Restore():
            return _restore(conf, job, progress)
        case Verify():
            return _verify(conf, job, progress)
        case Discard():
            making.discard(open_catalog(conf, job.place, job.context), job)
            return Done(None, None, 0)
        case Archive():
            return log_tasks.archive(conf, job)
        case ClearLogs():
            return log_tasks.clear(conf, job)
        case Look():
            return log_tasks.look(conf, job)


def _restore(conf: cfg.ConfigOpts, job: Restore, progress: Progress) -> Done:
    try:
        catalog, chain = _find(conf, job.place, job.context, job.location)
    except NoBackup:
        return _restore_foreign(conf, job, progress)
    # What cannot be is refused before anything is touched.
    replay = log_tasks.find_way(conf, job.recovery, chain[-1], job.server, job.context) if job.recovery else None
    return Done(None, None, restore(conf, catalog, chain, job.server, Path(job.target), progress, replay))


def restore(
    conf: cfg.ConfigOpts,
    catalog: Catalog,
    chain: Sequence[Manifest],
    facts: ServerFacts,
    target: Path,
    progress: Progress,
    replay: Replay | None = None,
) -> int:
    """Fill an empty directory of the server's account from a chain.

    :param replay: brings the data to a later point; none: they are those of the backup.
    :returns: the bytes of all its streams.
    :raises GuestAgentError: it has failed; what is in the directory is of no use.
    """
    server = server_of(facts)
    strategy_class = load_one(Group.BACKUP, chain[0].strategy, BaseBackupStrategy)  # type: ignore[type-abstract]
    for one in chain:
        check_strategy(one, chain[0].strategy, strategy_class)
        if one.datastore != server.datastore:
            problem = f"it has the data of {one.datastore!r}, and this guest's datastore is {server.datastore!r}"
            raise InvalidValue(subject=f"Backup {one.id!r}", problem=problem)
    strategy = strategy_class(conf, server)
    streams = [one.size for one in chain]
    total = sum(streams)
    _check_room(chain[-1].id, strategy.needed(streams) + (replay.size if replay else 0), target)
    how, done = settings.read(conf), 0
    stages = []
    for one in chain:
        told = functools.partial(_tell_part, progress, done, total)
        chunks = reader.read(one, catalog.storage, catalog.context, catalog.container, how, told)
        stages.append(Stage(chunks, one.positions, incremental=one.kind == manifest.INCREMENTAL))
        done += one.size
    with scratch(server):
        strategy.restore(stages, target)
        if replay:
            replay.carry_out(conf, target)
    return total


def _restore_foreign(conf: cfg.ConfigOpts, job: Restore, progress: Progress) -> Done:
    """Restore a backup that Trove's own agent made."""
    if job.recovery:
        problem = "Trove's own agent made it, and nothing says which logs go on from there"
        raise InvalidValue(subject=f"The point {job.recovery.point!r} after this backup", problem=problem)
    here = open_catalog(conf, job.place, job.context)
    chain = foreign.chain(here.storage, here.context, job.location, job.checksum, job.incremental)
    server, target = server_of(job.server), Path(job.target)
    strategy = foreign.strategy(conf, chain[-1].form)(conf, server)
    streams = [one.size for one in chain]
    total = sum(streams)
    # What is compressed needs more, and nobody knows how much.
    _check_room(chain[-1].form.id, strategy.needed(streams), target)
    stages = foreign.stages(chain, here.storage, here.context, conf, Meter(progress, total))
    with scratch(server):
        strategy.restore(stages, target)
    return Done(None, None, total)


def _verify(conf: cfg.ConfigOpts, job: Verify, progress: Progress) -> Done:
    catalog, chain = _find(conf, job.place, job.context, job.location)
    how, done, total = settings.read(conf), 0, sum(one.size for one in chain)
    for one in chain:
        told = functools.partial(_tell_part, progress, done, total)
        for _ in reader.read(one, catalog.storage, catalog.context, catalog.container, how, told):
            pass
        done += one.size
    return Done(job.location, None, total)


def _find(
    conf: cfg.ConfigOpts, place: Place, context: dict[str, object], location: str
) -> tuple[Catalog, list[Manifest]]:
    """The backup at a location with all that it builds on, and the catalog of its own container."""
    here = open_catalog(conf, place, context)
    container, _ = here.storage.locate(location)
    catalog = Catalog(here.storage, here.context, container)
    return catalog, catalog.chain(location)


def _tell_part(progress: Progress, before: int, total: int, done: int, _: int | None) -> None:
    progress(before + done, total)


def _check_room(backup_id: str, needed: int, target: Path) -> None:
    space = volume.space(target)
    left = space.available_blocks * space.block_size
    if needed > left:
        raise NoRoom(backup=backup_id, needed=needed >> 20, left=left >> 20, target=target)
