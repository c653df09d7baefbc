"""Whether backups build on each other."""

import pytest
from guestagent_mariabackup import chain
from guestagent_mariabackup.positions import Positions

from guestagent.backup.base import ChainBroken, Stage


def position(begins: int, ends: int, last: int) -> Positions:
    return Positions(from_lsn=begins, lsn=ends, last_lsn=last, server_version="10.11")


def stages(*positions: Positions) -> list[Stage]:
    return [Stage(iter(()), found.kept(), bool(number)) for number, found in enumerate(positions)]


FULL = position(0, 100, 120)


def test_a_chain_can_have_any_length() -> None:
    increments = [position(at, at + 100, at + 120) for at in range(100, 5000, 100)]
    assert chain.checked(stages(FULL, *increments)) == [FULL, *increments]


def test_increments_may_begin_at_one_checkpoint() -> None:
    assert chain.checked(stages(FULL, position(100, 100, 130), position(100, 100, 130), position(100, 140, 140)))


@pytest.mark.parametrize(
    ("positions", "problem"),
    [
        ((), "there is no backup in it"),
        ((position(100, 200, 220),), "backup 1 is an incremental one"),
        ((FULL, FULL), "backup 2 is an incremental one"),
        ((FULL, position(200, 300, 320)), "backup 2 begins at 200, the one before it ends at 100"),
        ((FULL, position(99, 300, 320)), "backup 2 begins at 99, the one before it ends at 100"),
        ((FULL, position(100, 100, 130), position(100, 100, 125)), "backup 3 is older than the one before it"),
    ],
)
def test_a_chain_with_a_gap_or_a_wrong_order_is_broken(positions: tuple[Positions, ...], problem: str) -> None:
    with pytest.raises(ChainBroken, match=problem):
        chain.checked(stages(*positions))


def test_a_full_backup_that_is_said_to_be_incremental_breaks_the_chain() -> None:
    with pytest.raises(ChainBroken, match="backup 1 is an incremental one"):
        chain.checked([Stage(iter(()), FULL.kept(), incremental=True)])


def test_a_backup_of_another_strategy_breaks_the_chain() -> None:
    with pytest.raises(ChainBroken, match="backup 1 says nothing"):
        chain.checked([Stage(iter(()), {"gtid": "0-1-2"}, incremental=False)])
    with pytest.raises(ChainBroken, match="the backup to build on says nothing"):
        chain.begin({})


def test_a_backup_that_another_agent_made_is_not_known_before_it_is_unpacked() -> None:
    unknown = [Stage(iter(()), {}, incremental=False), Stage(iter(()), {}, incremental=True)]
    assert chain.checked(unknown) == [None, None]
    assert chain.checked([unknown[0], *stages(FULL, position(100, 200, 220))[1:]]) == [None, position(100, 200, 220)]
    with pytest.raises(ChainBroken, match="backup 1 is an incremental one"):
        chain.checked(unknown[1:])
    with pytest.raises(ChainBroken, match="begins at 99"):
        chain.see_that_it_fits(2, unknown[1], FULL, position(99, 200, 220))


def test_a_backup_begins_where_the_one_before_ended() -> None:
    assert chain.begin(None) is None
    assert chain.begin(FULL.kept()) == 100
    chain.see_that_it_continues(100, position(100, 100, 120))


@pytest.mark.parametrize("made", [position(100, 50, 60), position(100, 100, 90)])
def test_a_server_that_went_back_is_seen(made: Positions) -> None:
    with pytest.raises(ChainBroken, match="make a full one"):
        chain.see_that_it_continues(100, made)


def test_a_backup_that_begins_elsewhere_is_seen() -> None:
    with pytest.raises(ChainBroken, match="should begin at 100 and begins at 0"):
        chain.see_that_it_continues(100, FULL)
