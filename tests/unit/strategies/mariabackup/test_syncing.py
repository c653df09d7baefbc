"""What a restore writes gets to the disk while it is written."""

from pathlib import Path

import pytest
from guestagent_mariabackup.syncing import SYNC_BYTES, Syncing

from guestagent.contract.errors import SystemFailure
from guestagent.system import volume


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What was synced, by the syncs that have ended."""
    ended: list[Path] = []
    sync = volume.sync

    def noted(path: Path) -> None:
        sync(path)
        ended.append(path)

    monkeypatch.setattr(volume, "sync", noted)
    return ended


def test_little_is_synced_at_the_end(tmp_path: Path, synced: list[Path]) -> None:
    with Syncing(tmp_path) as disk:
        disk.count(SYNC_BYTES - 1)
        assert synced == []
        disk.finish()

    assert synced == [tmp_path]


def test_much_is_synced_meanwhile_too_and_all_of_it_has_ended(tmp_path: Path, synced: list[Path]) -> None:
    with Syncing(tmp_path) as disk:
        for _ in range(4):
            disk.count(SYNC_BYTES // 2)
        disk.finish()

    assert 2 <= len(synced) <= 3


def test_a_disk_that_takes_nothing_is_an_error(tmp_path: Path) -> None:
    with Syncing(tmp_path / "gone") as disk:
        disk.count(SYNC_BYTES)
        with pytest.raises(SystemFailure, match="sync"):
            disk.finish()
