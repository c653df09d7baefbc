"""Making a backup: begun anew, or gone on with where a worker has died."""

import functools
import time
from pathlib import Path

import msgspec
from oslo_config import cfg
from oslo_log import log

from guestagent.backup import draft, encryption, manifest, settings, writer
from guestagent.backup.base import BaseBackupStrategy
from guestagent.backup.catalog import Catalog, IdTaken, NoBackup, ParentGone
from guestagent.backup.draft import Draft, NotRepeated, Recipe
from guestagent.backup.job import Backup, Discard, Done
from guestagent.backup.manifest import Manifest, ManifestInvalid
from guestagent.backup.progress import Progress
from guestagent.backup.settings import Settings
from guestagent.backup.strategies import check_strategy, scratch, server_of
from guestagent.backup.writer import Written
from guestagent.contract.errors import InvalidValue
from guestagent.plugins.installed import Group
from guestagent.plugins.loader import load_one

LOG = log.getLogger(__name__)


def make(conf: cfg.ConfigOpts, catalog: Catalog, job: Backup, progress: Progress) -> Done:
    """Make a backup, or find that it is made.

    :raises GuestAgentError: it cannot be made.
    """
    made = _found(catalog, job)
    if made is None:
        made = _make(conf, catalog, job, progress)
        joined = catalog.seal(made)
    else:
        joined = catalog.join(made)
    if job.draft_dir is not None:
        draft.discard(Path(job.draft_dir))
    return Done(joined.location, joined.checksum, made.size)


def discard(catalog: Catalog, job: Discard) -> None:
    """Remove what is left of a backup that was given up; repeating it is safe.

    :raises IdTaken: what is there is another one.
    """
    if job.draft_dir is not None:
        draft.discard(Path(job.draft_dir))
    # Its worker may have been killed while it wrote.
    catalog.storage.tidy()
    _found(catalog, job)
    catalog.discard(job.backup_id)


def _found(catalog: Catalog, job: Backup | Discard) -> Manifest | None:
    """The backup of the job, if it is in the store; none: it is not, or not whole.

    :raises IdTaken: another one is.
    """
    try:
        found = catalog.find(job.backup_id)
    except ManifestInvalid as error:
        # We write none that we cannot read.
        raise IdTaken(backup=job.backup_id, problem=error.facts["problem"]) from error
    if found is not None and found.instance_id != job.instance_id:
        raise IdTaken(backup=job.backup_id, problem=f"it has the data of instance {found.instance_id}")
    return found


def _make(conf: cfg.ConfigOpts, catalog: Catalog, job: Backup, progress: Progress) -> Manifest:
    parent = _parent(catalog, job)
    server = server_of(job.server, job.draft_dir)
    strategy = load_one(Group.BACKUP, job.strategy, BaseBackupStrategy)(conf, server)  # type: ignore[type-abstract]
    if parent is not None:
        _check_parent(parent, strategy, job)
    started = time.time()
    with scratch(server):
        written = _Making(catalog, job, strategy, parent, settings.read(conf), progress).write()
    return written.as_manifest(
        job.backup_id,
        job.instance_id,
        job.strategy,
        strategy,
        manifest.INCREMENTAL if parent else manifest.FULL,
        started,
        parent.id if parent else None,
        job.parent,
    )


def _parent(catalog: Catalog, job: Backup) -> Manifest | None:
    if job.parent is None:
        return None
    try:
        return catalog.chain(job.parent)[-1]
    except NoBackup:
        raise ParentGone(backup=job.backup_id, parent=job.parent) from None


class _Making(msgspec.Struct, frozen=True):
    """One backup on its way into the store.

    :ivar parent: what it builds on; none: nothing.
    """

    catalog: Catalog
    job: Backup
    strategy: BaseBackupStrategy
    parent: Manifest | None
    settings: Settings
    progress: Progress

    def write(self) -> Written:
        """Go on where a worker that died has left it, where the strategy can; otherwise begin anew."""
        if not self.strategy.repeatable or self.job.draft_dir is None:
            return self._attempt(None)
        directory = Path(self.job.draft_dir)
        take_up = functools.partial(Draft.take_up, directory, self._recipe(), self.strategy.server.account)
        try:
            return self._attempt(take_up())
        except NotRepeated as error:
            changed = str(error)
        # Outside of the handler, or the log would have the error twice.
        LOG.warning("%s", changed)
        draft.discard(directory)
        return self._attempt(take_up())

    def _attempt(self, begun: Draft | None) -> Written:
        backup_id = self.job.backup_id
        if begun is None or not begun.begun:
            # A worker may have died in the middle of it.
            self.catalog.discard(backup_id)
        else:
            LOG.info("Going on with backup '%s', of which %d segments were begun", backup_id, len(begun.begun))
        with self.strategy.backup(self.parent.positions if self.parent else None) as source:
            return writer.write(
                source,
                self.catalog.storage,
                self.catalog.context,
                self.catalog.container,
                backup_id,
                self.settings,
                self.progress,
                self.strategy.estimate(),
                begun,
                is_checksummed=self.strategy.is_checksummed(),
            )

    def _recipe(self) -> Recipe:
        return Recipe(
            self.job.backup_id,
            self.job.strategy,
            self.strategy.version,
            self.parent.id if self.parent else None,
            self.settings.compression,
            self.settings.level,
            self.settings.segment_size,
            encryption.begin(self.settings.algorithm, self.settings.keys),
        )


def _check_parent(parent: Manifest, strategy: BaseBackupStrategy, job: Backup) -> None:
    if not strategy.incremental:
        strategy.refuse_incremental()
    check_strategy(parent, job.strategy, type(strategy))
    if parent.instance_id != job.instance_id:
        problem = f"it has the data of instance {parent.instance_id}, and a backup builds on one of the same instance"
        raise InvalidValue(subject=f"The parent {parent.id!r}", problem=problem)
