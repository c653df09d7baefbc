"""``guestagentctl backups list``: what is in a store."""

import argparse
from collections.abc import Iterator
from typing import Any

import msgspec
from oslo_config import cfg

from guestagent.backup.catalog import Survey
from guestagent.backup.manifest import Manifest
from guestagent.cmd.ctl import progress, text
from guestagent.cmd.ctl.backup_bar import size
from guestagent.cmd.ctl.backup_store import add_store, open_catalog
from guestagent.cmd.ctl.command import Answer, Command

UNUSABLE, UNFINISHED = "unusable", "unfinished"
"""Kinds of what is no backup that could be restored."""


def _run(options: argparse.Namespace) -> Answer:
    found = [*_rows(open_catalog(cfg.CONF, options).survey())]
    return Answer(found, _render(found) if found else "there is no backup")


def _rows(survey: Survey) -> Iterator[dict[str, Any]]:
    for one in survey.backups:
        yield _row(one, survey)
    for backup_id, error in survey.unusable.items():
        yield _nothing(backup_id, UNUSABLE, str(error), survey)
    for backup_id in survey.unfinished:
        yield _nothing(backup_id, UNFINISHED, "it is being made, or was given up", survey)


def _row(one: Manifest, survey: Survey) -> dict[str, Any]:
    return {
        "id": one.id,
        "kind": one.kind,
        "parent": one.parent,
        "started": one.started,
        "ended": one.ended,
        "size": one.size,
        "stored": one.stored,
        "strategy": one.strategy,
        "key_id": one.encryption.key_id if one.encryption else None,
        "instance_id": one.instance_id,
        "datastore": one.datastore,
        "datastore_version": one.datastore_version,
        "pinned": _pinned(one.id, survey),
        "problem": None,
    }


def _nothing(backup_id: str, kind: str, problem: str, survey: Survey) -> dict[str, Any]:
    names = ("parent", "started", "ended", "size", "stored", "strategy", "key_id", "instance_id", "datastore")
    nothing = dict.fromkeys((*names, "datastore_version"))
    return {"id": backup_id, "kind": kind, **nothing, "pinned": _pinned(backup_id, survey), "problem": problem}


def _pinned(backup_id: str, survey: Survey) -> dict[str, Any] | None:
    pin = survey.pins.get(backup_id)
    return None if pin is None else msgspec.to_builtins(pin)


def _render(found: list[dict[str, Any]]) -> str:
    head = ["ID", "KIND", "PARENT", "STARTED", "SIZE", "STORED", "STRATEGY", "KEY", "INSTANCE", "PINNED", "NOTE"]
    return text.table(
        head,
        [
            [
                one["id"],
                one["kind"],
                one["parent"],
                progress.moment(one["started"]),
                *(None if one[name] is None else size(one[name]) for name in ("size", "stored")),
                one["strategy"],
                one["key_id"],
                one["instance_id"],
                one["pinned"] is not None,
                one["problem"] or _note(one["pinned"]),
            ]
            for one in found
        ],
    )


def _note(pin: dict[str, Any] | None) -> str | None:
    return None if pin is None else f"pinned by {pin['who']}: {pin['why'] or '-'}"


COMMAND = Command(
    name="list",
    summary="what is in a store, the oldest first; what cannot be restored stands last",
    run=_run,
    examples="""\
guestagentctl backups list
guestagentctl backups list --storage swift --url https://swift/v1/AUTH_1 --token-file /root/token
guestagentctl backups list --json | jq -r '.[] | select(.problem == null) | .id'""",
    add_arguments=add_store,
)
