"""The jobs about logs: archiving them, and looking how far they reach."""

from oslo_config import cfg

from guestagent.backup.archive import Point
from guestagent.backup.archiving import Archiving
from guestagent.backup.job import Archive, Archived, ClearLogs, Done, Look, Recovery, Seen, ServerFacts
from guestagent.backup.manifest import Manifest
from guestagent.backup.opening import open_archive_strategy, open_catalog, open_logs
from guestagent.backup.replay import Replay, find
from guestagent.backup.window import LogChart


def archive(conf: cfg.ConfigOpts, job: Archive) -> Archived:
    """Archive what is closed; what fails then is in the answer.

    :raises GuestAgentError: a strategy or a setting is wrong.
    """
    strategy = open_archive_strategy(conf, job.strategy, job.server)
    store = open_logs(conf, job.place, job.context, job.instance_id)
    return Archived(Archiving(conf, job.strategy, strategy, store, job.state).run())


def clear(conf: cfg.ConfigOpts, job: ClearLogs) -> Done:
    """Remove what is left of logs that were not archived to their end; repeating it is safe.

    :raises StorageError: the store refuses.
    """
    open_logs(conf, job.place, job.context, job.instance_id).clear_begun()
    return Done(None, None, 0)


def look(conf: cfg.ConfigOpts, job: Look) -> Seen:
    """See what can be restored of an instance.

    :raises GuestAgentError: a store cannot be read, or holds what cannot be understood.
    """
    strategy = open_archive_strategy(conf, job.strategy, job.server)
    chart = LogChart(strategy, open_logs(conf, job.logs, job.context, job.instance_id))
    return Seen(chart.window(open_catalog(conf, job.backups, job.context).survey().backups))


def find_way(
    conf: cfg.ConfigOpts, recovery: Recovery, backup: Manifest, facts: ServerFacts, context: dict[str, object]
) -> Replay:
    """The logs that lead from a backup to a point; see :func:`guestagent.backup.replay.find` for errors."""
    strategy = open_archive_strategy(conf, recovery.strategy, facts)
    store = open_logs(conf, recovery.place, context, backup.instance_id)
    return find(strategy, store, backup, Point.parse(recovery.point))
