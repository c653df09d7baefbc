"""Snapshots, backups and archives of logs."""

from guestagent.conformance.guest import Guest
from guestagent.conformance.suite import backups
from guestagent.conformance.suite.scenarios.scenario import Arguments, Scenario, does

SNAPSHOTS = [
    Scenario(
        "hold the data still",
        "pre_create_backup",
        arrange=does("post_create_backup"),
        also=("post_create_backup",),
        leave=does("post_create_backup"),
        resumable=False,
        holds=True,
    ),
    Scenario(
        "let the data go",
        "post_create_backup",
        arrange=does("pre_create_backup"),
        also=("pre_create_backup",),
        leave=does("post_create_backup"),
        holds=True,
    ),
]


def _told_of_backup(guest: Guest) -> Arguments:
    """What the control plane knows of the last backup that was asked for, and whether something of it is stored."""
    reports = guest.conductor.of(guest.id, "update_backup")
    if not reports:
        return {}
    known = reports[-1].args
    stored = any(known["backup_id"] in str(path) for path in guest.storage.rglob("*") if path.is_file())
    return {"backup.state": known["state"], "backup.stored": stored}


_NO_BACKUP: Arguments = {"backup.state": "FAILED", "backup.stored": False}


def _with_backup(guest: Guest) -> None:
    guest.do("create_backup", backup_info=backups.wanted(guest))


def _increment(guest: Guest) -> Arguments:
    [parent] = [report.args for report in guest.conductor.of(guest.id, "update_backup")[-1:]]
    named = {name: parent[name] for name in ("location", "checksum")}
    return {"backup_info": backups.wanted(guest, backup_type="incremental", parent=named)}


BACKUPS = [
    Scenario(
        "make a backup",
        "create_backup",
        lambda guest: {"backup_info": backups.wanted(guest)},
        _with_backup,
        given=("backup_strategy",),
        look=_told_of_backup,
        given_up=_NO_BACKUP,
    ),
    Scenario(
        "make an incremental backup",
        "create_backup",
        _increment,
        _with_backup,
        given=("backup_strategy", "incremental"),
        look=_told_of_backup,
        given_up=_NO_BACKUP,
    ),
]

ARCHIVES = [
    Scenario(
        "archive logs",
        "archive_logs",
        arrange=lambda guest: guest.datastore.write(guest.account, "archived", "data"),
        given=("archive_strategy", "write"),
    ),
]
