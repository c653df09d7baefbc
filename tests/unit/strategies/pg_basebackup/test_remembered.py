"""The manifests that stay between backups: found by what is in them, whole, and only so many."""

import hashlib
import io
import os
from pathlib import Path

import pytest
from guestagent_pg_basebackup.remembered import Remembered

from guestagent.contract.errors import SystemFailure
from guestagent.system.files import UNFINISHED

MOST = 3


@pytest.fixture
def remembered(tmp_path: Path) -> Remembered:
    return Remembered(tmp_path / "kept", None, MOST)


def keep(remembered: Remembered, content: bytes) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    remembered.keep(sha256, io.BytesIO(content))
    return sha256


def test_what_was_kept_is_found_by_its_content(remembered: Remembered, tmp_path: Path) -> None:
    for _ in range(2):
        name = keep(remembered, b"first")
    assert name == hashlib.sha256(b"first").hexdigest()
    found = remembered.find(name)
    assert found
    assert found.read_bytes() == b"first"
    assert found.stat().st_mode & 0o777 == 0o600
    assert found.parent.stat().st_mode & 0o777 == 0o700
    assert remembered.find("0" * 64) is None


def test_those_that_were_used_last_stay(remembered: Remembered, tmp_path: Path) -> None:
    names = []
    for number in range(MOST):
        names.append(keep(remembered, str(number).encode()))
        os.utime(tmp_path / "kept" / names[-1], (number, number))
    assert remembered.find(names[0])
    last = [keep(remembered, content) for content in (b"a", b"b")]
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {names[0], *last}


def test_what_a_dead_writer_left_is_removed(remembered: Remembered, tmp_path: Path) -> None:
    keep(remembered, b"first")
    left = tmp_path / "kept" / f"{UNFINISHED}x"
    left.write_bytes(b"fir")
    second = keep(remembered, b"second")
    assert not left.exists()
    assert remembered.find(second)


def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    remembered = Remembered(tmp_path / "file" / "kept", None, MOST)
    with pytest.raises(SystemFailure, match="Not a directory"):
        remembered.find("0" * 64)
    with pytest.raises(SystemFailure, match="Not a directory"):
        keep(remembered, b"first")
