"""``guestagentctl backups prune`` and ``delete``: what goes out of a store."""

import argparse
import re
import time

from oslo_config import cfg

from guestagent.backup import retention
from guestagent.backup.catalog import NoBackup, Survey, check_id
from guestagent.backup.retention import Decision, Rule
from guestagent.cmd.ctl import progress, text
from guestagent.cmd.ctl.backup_bar import size
from guestagent.cmd.ctl.backup_store import Refused, add_store, open_catalog
from guestagent.cmd.ctl.command import Answer, Command, WrongUse

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}


def age(typed: str) -> int:
    """Seconds from a number and its unit, as ``30d``."""
    found = re.fullmatch(r"([0-9]{1,6})([smhdw])", typed)
    if found is None:
        raise argparse.ArgumentTypeError(f"an age is a number and one of {', '.join(UNITS)}, as 30d, and not {typed!r}")
    return int(found[1]) * UNITS[found[2]]


def _number(typed: str) -> int:
    number = int(typed)
    if number < 1:
        raise ValueError(typed)
    return number


def _add_prune(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keep", type=_number, metavar="N", help="the newest N of each instance stay")
    parser.add_argument("--max-age", type=age, metavar="AGE", help="younger ones stay; as 36h, 30d, 8w")
    parser.add_argument("--instance", metavar="ID", help="touch only the backups of this instance")
    parser.add_argument("--apply", action="store_true", help="do it; without this it is only shown")
    add_store(parser)


def _prune(options: argparse.Namespace) -> Answer:
    if options.keep is None and options.max_age is None:
        raise WrongUse(problem="say what stays, with --keep or --max-age", command="backups prune")
    catalog = open_catalog(cfg.CONF, options)
    survey = catalog.survey()
    _refuse_guessing(survey)
    decisions = [
        decision
        for decision in retention.decide(
            survey.backups, survey.pins.keys(), time.time(), Rule(options.keep, options.max_age)
        )
        if options.instance in (None, decision.backup.instance_id)
    ]
    if options.apply:
        for one in retention.removal_order(decision.backup for decision in decisions if decision.removed):
            catalog.discard(one.id)
    return Answer(
        [_row(decision, applied=options.apply) for decision in decisions], _render(decisions, applied=options.apply)
    )


def _row(decision: Decision, *, applied: bool) -> dict[str, object]:
    one = decision.backup
    return {
        "id": one.id,
        "parent": one.parent,
        "instance_id": one.instance_id,
        "ended": one.ended,
        "stored": one.stored,
        "keep": not decision.removed,
        "reason": decision.reason,
        "removed": decision.removed and applied,
    }


def _render(decisions: list[Decision], *, applied: bool) -> str:
    if not decisions:
        return "there is no backup"
    verb = "removed" if applied else "remove"
    table = text.table(
        ["ID", "KIND", "PARENT", "ENDED", "STORED", "DECISION", "REASON"],
        [
            [
                decision.backup.id,
                decision.backup.kind,
                decision.backup.parent,
                progress.moment(decision.backup.ended),
                size(decision.backup.stored),
                verb if decision.removed else "keep",
                decision.reason,
            ]
            for decision in decisions
        ],
    )
    gone = [decision.backup.stored for decision in decisions if decision.removed]
    said = f"{len(gone)} of {len(decisions)} backups with {size(sum(gone))}"
    end = f"removed {said}" if applied else f"{said} would go; nothing was removed, --apply does it"
    return f"{table}\n\n{end}"


def _refuse_guessing(survey: Survey, meant: str | None = None) -> None:
    """See that everything is known that may build on something.

    :param meant: is not asked what it builds on.
    :raises Refused: it is not.
    """
    for backup_id, error in survey.unusable.items():
        if backup_id != meant:
            problem = f"nobody knows what backup '{backup_id}' builds on ({error}) Mend or delete that one first"
            raise Refused(problem=problem)


def _add_delete(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="of a backup, or of what is left of one that was given up")
    add_store(parser)


def _delete(options: argparse.Namespace) -> Answer:
    catalog = open_catalog(cfg.CONF, options)
    backup_id = check_id(options.id)
    survey = catalog.survey()
    usable = backup_id in {one.id for one in survey.backups}
    if not usable and backup_id not in survey.unusable and backup_id not in survey.unfinished:
        raise NoBackup(location=f"{catalog.container}/{backup_id}")
    if (pin := survey.pins.get(backup_id)) is not None:
        raise Refused(problem=f"'{backup_id}' is pinned by {pin.who} ({pin.why or 'no reason given'}); unpin it first")
    if above := retention.built_on(backup_id, survey.backups):
        raise Refused(problem=f"{', '.join(one.id for one in above)} would be lost, built on '{backup_id}'")
    if usable:
        _refuse_guessing(survey, backup_id)
    catalog.discard(backup_id)
    return Answer({"id": backup_id, "removed": True}, f"removed {backup_id}")


PRUNE = Command(
    name="prune",
    summary="which backups go by their number and age, and with --apply remove them",
    run=_prune,
    examples="""\
guestagentctl backups prune --keep 7                          shows what would go
guestagentctl backups prune --keep 7 --max-age 30d --apply    removes what neither of the two keeps

What a backup that stays builds on stays too, and so does what is pinned. Do not apply it while a backup is being made
that builds on an old one.""",
    add_arguments=_add_prune,
)

DELETE = Command(
    name="delete",
    summary="remove one backup; one that is pinned or built on is not",
    run=_delete,
    examples="guestagentctl backups delete 7d1c83f2-9a52-4f6f-8f0e-0f7b5e4a1c11",
    add_arguments=_add_delete,
)
