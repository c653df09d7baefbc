"""``guestagentctl backups prune-logs``: archived logs that no backup needs any more."""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from oslo_config import cfg

from guestagent.cmd.ctl import progress, text
from guestagent.cmd.ctl.backup_bar import size
from guestagent.cmd.ctl.backup_store import add_store, open_catalog, place_of_logs
from guestagent.cmd.ctl.command import Answer, Command

if TYPE_CHECKING:
    from guestagent.backup.catalog import Catalog
    from guestagent.backup.log_store import LogStore
    from guestagent.backup.manifest import Manifest


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--instance", metavar="ID", help="touch only the logs of this instance")
    parser.add_argument("--apply", action="store_true", help="do it; without this it is only shown")
    add_store(parser)


def _run(options: argparse.Namespace) -> Answer:
    found = [*_useless(open_catalog(cfg.CONF, options), options.instance)]
    if options.apply:
        for store, one in found:
            store.clear(_name(one))
    return Answer(
        [_row(one, applied=options.apply) for _, one in found],
        _render([one for _, one in found], applied=options.apply),
    )


def _useless(catalog: "Catalog", instance: str | None) -> "Iterator[tuple[LogStore, Manifest]]":
    """The logs that were closed before the oldest backup of their instance was begun.

    Where an instance has no backup here, it may have some elsewhere, and its logs stay.
    """
    # What reads stores is not for the commands that ask an agent.
    from guestagent.backup.log_store import LogStore, instances
    from guestagent.backup.opening import open_storage

    place = place_of_logs(cfg.CONF)
    storage = open_storage(cfg.CONF, place)
    survey = catalog.survey()
    for error in survey.unusable.values():
        # Nobody knows since when it needs logs.
        raise error
    for each in instances(storage, catalog.context, place.container):
        begun = [one.started for one in survey.backups if one.instance_id == each]
        if begun and instance in (None, each):
            store = LogStore(storage, catalog.context, place.container, each)
            yield from ((store, one) for one in store.older_than(min(begun)))


def _name(one: "Manifest") -> str:
    from guestagent.backup.log_store import name_of

    return name_of(one)


def _row(one: "Manifest", *, applied: bool) -> dict[str, Any]:
    facts = {"log": _name(one), "instance_id": one.instance_id, "ended": one.ended, "stored": one.stored}
    return {**facts, "removed": applied}


def _render(found: "list[Manifest]", *, applied: bool) -> str:
    if not found:
        return "every archived log is of use to a backup, as far as backups are here"
    rows = [[_name(one), one.instance_id, progress.moment(one.ended), size(one.stored)] for one in found]
    said = f"{len(found)} archived logs with {size(sum(one.stored for one in found))}"
    end = f"removed {said}" if applied else f"{said} would go; nothing was removed, --apply does it"
    return f"{text.table(['LOG', 'INSTANCE', 'ENDED', 'STORED'], rows)}\n\n{end}"


COMMAND = Command(
    name="prune-logs",
    summary="which archived logs are older than all backups of their instance, and with --apply remove them",
    run=_run,
    examples="""\
guestagentctl backups prune-logs                                       shows what would go
guestagentctl backups prune --keep 7 --apply && guestagentctl backups prune-logs --apply

The options name the store of the backups; name the one that has all of them. Where logs are, the files say.""",
    add_arguments=_add_arguments,
)
