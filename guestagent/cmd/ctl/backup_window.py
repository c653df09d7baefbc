"""``guestagentctl backups window``: since and until when an instance can be restored to any moment."""

import argparse

import msgspec
from oslo_config import cfg

from guestagent.cmd.ctl import text
from guestagent.cmd.ctl.backup_store import add_store, archive_strategy, open_catalog, place_of_logs
from guestagent.cmd.ctl.command import Answer, Command, WrongUse
from guestagent.contract.backups import RecoveryWindow


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--instance", metavar="ID", help="whose (default: the one of this guest)")
    add_store(parser)


def _run(options: argparse.Namespace) -> Answer:
    # What reads stores is not for the commands that ask an agent.
    from guestagent.backup.job import ServerFacts
    from guestagent.backup.log_store import LogStore
    from guestagent.backup.opening import open_archive_strategy, open_storage
    from guestagent.backup.window import LogChart

    conf = cfg.CONF
    instance = options.instance or conf.guest_id
    if not instance:
        raise WrongUse(problem="the files name no guest; say whose with --instance", command="window")
    catalog = open_catalog(conf, options)
    # No server is asked.
    facts = ServerFacts(conf.image.datastore or "", "", "/", "/")
    strategy = open_archive_strategy(conf, archive_strategy(conf), facts)
    place = place_of_logs(conf)
    store = LogStore(open_storage(conf, place), catalog.context, place.container, instance)
    window = LogChart(strategy, store).window(catalog.survey().backups)
    return Answer(msgspec.to_builtins(window), _render(window))


def _render(window: RecoveryWindow) -> str:
    from guestagent.backup.archive import moment

    if window.last is None:
        return f"nothing can be restored of {text.cell(window.instance_id)}: there is no backup of it"
    rows = [[one.id, moment(one.since), moment(one.until), one.position, one.logs, one.gap] for one in window.backups]
    table = text.table(["BACKUP", "FROM", "UNTIL", "POSITION", "LOGS", "GAP"], rows)
    return f"{table}\n\nlast recoverable time: {moment(window.last)} ({text.cell(window.position)})"


COMMAND = Command(
    name="window",
    summary="since and until when an instance can be restored to any moment, with its backups and archived logs",
    run=_run,
    examples="""\
guestagentctl backups window
guestagentctl backups window --instance 7d1c83f2-9a52-4f6f-8f0e-0f7b5e4a1c11 --json | jq .last

A line for each backup: with the archived logs, what was at any moment of its time can be restored from it. Where a log
is missing, the time ends, and GAP says which.""",
    add_arguments=_add_arguments,
)
