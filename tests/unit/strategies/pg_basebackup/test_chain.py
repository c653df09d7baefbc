"""Whether backups build on each other."""

import pytest
from guestagent_pg_basebackup import chain
from guestagent_pg_basebackup.positions import Positions

from guestagent.backup.base import ChainBroken, Stage


def position(manifest: str | None, parent: str | None = None, version: str = "17.12") -> Positions:
    return Positions(
        start_lsn="0/0", end_lsn="0/1", timeline=1, server_version=version, manifest=manifest, parent_manifest=parent
    )


def stages(*positions: Positions) -> list[Stage]:
    return [Stage(iter(()), found.kept(), bool(number)) for number, found in enumerate(positions)]


FULL = position("a")


def test_a_chain_can_have_any_length() -> None:
    made = [FULL, position("b", "a"), position("c", "b"), position("d", "c")]
    assert chain.checked(stages(*made)) == made


def test_a_full_one_of_an_older_server_stands_by_itself() -> None:
    assert chain.checked(stages(position(None, version="15.18")))


@pytest.mark.parametrize(
    ("positions", "problem"),
    [
        ((), "there is no backup in it"),
        ((FULL, position("c", "b")), "backup 2 does not build on the one before it"),
        ((position(None), position("b")), "backup 2 does not build on the one before it"),
        ((FULL, position("b", "a"), position("c", "a")), "backup 3 does not build on the one before it"),
        ((FULL, position("b", "a", "18.1")), "backup 2 is of PostgreSQL 18, the one before it of 17"),
    ],
)
def test_a_broken_chain_is_refused(positions: tuple[Positions, ...], problem: str) -> None:
    with pytest.raises(ChainBroken, match=problem):
        chain.checked(stages(*positions))


@pytest.mark.parametrize(
    ("incremental", "problem"), [((True,), "1 is an incremental"), ((False, False), "2 is a full")]
)
def test_a_backup_of_the_other_kind_is_refused(incremental: tuple[bool, ...], problem: str) -> None:
    with pytest.raises(ChainBroken, match=problem):
        chain.checked([Stage(iter(()), FULL.kept(), kind) for kind in incremental])


def test_positions_of_another_strategy_are_refused() -> None:
    with pytest.raises(ChainBroken, match="backup 1 says nothing"):
        chain.checked([Stage(iter(()), {"lsn": 3}, False)])
    with pytest.raises(ChainBroken, match="the backup to build on says nothing"):
        chain.begin({"lsn": 3}, "17")


def test_a_backup_is_built_on_one_of_the_same_major_version_of_which_something_was_kept() -> None:
    assert chain.begin(FULL.kept(), "17") == "a"
    with pytest.raises(ChainBroken, match="nothing was kept of the backup to build on; make a full one"):
        chain.begin(position(None).kept(), "17")
    with pytest.raises(ChainBroken, match="is of PostgreSQL 17, and this is 18; make a full one"):
        chain.begin(FULL.kept(), "18")
