"""What a restore writes gets to the disk while it is written."""

from pathlib import Path
from typing import Any

import pytest
from guestagent_mariabackup import syncing
from guestagent_mariabackup.syncing import SYNC_BYTES, Syncing

from guestagent.contract.errors import SystemFailure
from guestagent.system import command


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The command lines of the syncs that have ended."""
    ended: list[list[str]] = []

    def run(argv: list[str], **how: Any) -> command.Completed:
        done = command.run(argv, **how)
        ended.append(argv)
        return done

    monkeypatch.setattr(syncing, "command", type("command", (), {"run": staticmethod(run)}))
    return ended


def test_little_is_synced_at_the_end(tmp_path: Path, synced: list[list[str]]) -> None:
    with Syncing(tmp_path) as disk:
        disk.count(SYNC_BYTES - 1)
        assert synced == []
        disk.finish()

    assert synced == [["sync", "--file-system", str(tmp_path)]]


def test_much_is_synced_meanwhile_too_and_all_of_it_has_ended(tmp_path: Path, synced: list[list[str]]) -> None:
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
