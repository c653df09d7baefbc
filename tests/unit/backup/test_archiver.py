"""Who says until where a backup is brought forward, and what counts."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg

from guestagent.backup import archiver
from guestagent.backup.archiver import Archiver
from guestagent.backup.job import Archive, Archived, Place, Recovery, ServerFacts
from guestagent.contract.backups import ArchiveState
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import InvalidValue, NotSupported
from guestagent.guest import Guest
from guestagent.operations.instance import InstanceRecord
from guestagent.operations.store import Store
from guestagent.system.plain import PlainControl
from tests.unit.backup.streams import Shaky

FACTS = ServerFacts("ledger", "1", "/nowhere/data", "/nowhere/scratch")
POINT = "2025-11-26T14:05:00Z"


def guest(conf: cfg.ConfigOpts, directory: Path, *strategies: str) -> Guest:
    return Guest(
        id="i",
        datastore="ledger",
        conf=conf,
        state_dir=directory,
        record=InstanceRecord(Store(directory)),
        processes=PlainControl(directory / "run"),
        storage={"first": Shaky(conf), "second": Shaky(conf)},
        archive_strategies=strategies,
    )


@pytest.mark.parametrize(
    ("option", "sent", "point"),
    [
        (None, None, None),
        (None, POINT, POINT),
        (f"b {POINT}", None, POINT),
        ("b before the migration", None, "before the migration"),
        (f"b {POINT}", "0-1-42", "0-1-42"),
        (f"another {POINT}", None, None),
        (f"another {POINT}", "0-1-42", "0-1-42"),
    ],
)
def test_which_point_counts(
    conf: cfg.ConfigOpts, tmp_path: Path, option: str | None, sent: str | None, point: str | None
) -> None:
    conf.set_override("recover_to", option, "backup")
    found = archiver.recovery(guest(conf, tmp_path, "ledgers"), "b", {} if sent is None else {"recover_to": sent})
    place = Place("first", None, "database_backups")
    assert found == (None if point is None else Recovery("ledgers", place, point))


@pytest.mark.parametrize(
    ("option", "sent"), [("b", {}), (None, 1764165900), (None, ""), (None, False), (None, [POINT])]
)
def test_what_nobody_can_tell_is_refused_and_not_passed_over(
    conf: cfg.ConfigOpts, tmp_path: Path, option: str | None, sent: Any
) -> None:
    conf.set_override("recover_to", option, "backup")
    with pytest.raises(InvalidValue, match="recover_to"):
        archiver.recovery(guest(conf, tmp_path, "ledgers"), "b", {} if option else {"recover_to": sent})


def test_an_image_that_cannot_refuses(conf: cfg.ConfigOpts, tmp_path: Path) -> None:
    with pytest.raises(NotSupported, match="recovery to a point in time"):
        archiver.recovery(guest(conf, tmp_path), "b", {"recover_to": POINT})


def test_the_place_of_logs_can_be_another_one_than_that_of_backups(conf: cfg.ConfigOpts, tmp_path: Path) -> None:
    for name, value in {"storage": "second", "url": "http://store", "container": "logs"}.items():
        conf.set_override(f"archive_{name}", value, "backup")
    found = archiver.recovery(guest(conf, tmp_path, "ledgers"), "b", {"recover_to": POINT})
    assert found is not None
    assert found.place == Place("second", "http://store", "logs")


@pytest.mark.parametrize("left", [None, "", "{", '{"state": 1}'])
def test_a_state_that_is_lost_is_unknown(conf: cfg.ConfigOpts, tmp_path: Path, left: str | None) -> None:
    if left is not None:
        (tmp_path / "archive.json").write_text(left)
    assert Archiver(guest(conf, tmp_path, "ledgers")).state == ArchiveState()


def test_what_a_run_that_is_under_way_has_begun_is_not_cleared(
    conf: cfg.ConfigOpts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[object] = []
    ours = Archiver(guest(conf, tmp_path, "ledgers"))

    def while_it_runs(job: object, *_: object) -> Archived:
        sent.append(job)
        ours.give_up(RequestContext())
        return Archived(ArchiveState())

    monkeypatch.setattr(archiver.errand, "send", while_it_runs)
    ours.run(RequestContext(), lambda: contextlib.nullcontext(FACTS))
    assert [type(job) for job in sent] == [Archive]
