"""Unfinished files: whose they are, and who may remove them."""

import errno
import os
from pathlib import Path

import pytest

from guestagent.system import files


def unfinished(directory: Path) -> list[Path]:
    return list(directory.glob(f"{files.UNFINISHED}*"))


def test_what_somebody_still_writes_is_not_swept_away(tmp_path: Path) -> None:
    with files.replacing(tmp_path / "kept") as stream:
        stream.write(b"half")
        files.sweep(tmp_path)
        stream.write(b" and half")
    assert (tmp_path / "kept").read_bytes() == b"half and half"
    assert unfinished(tmp_path) == []


def test_what_a_writer_that_died_has_left_is_swept_away(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        with files.replacing(tmp_path / "kept") as stream:
            stream.write(b"half")
            os._exit(0)
    os.waitpid(child, 0)
    assert len(unfinished(tmp_path)) == 1
    files.sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_swept_away_at_its_birth_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = files.tempfile.mkstemp
    swept: list[str] = []

    def make_and_lose(**how: object) -> tuple[int, str]:
        handle, name = make(**how)  # type: ignore[call-overload]
        if not swept:
            files.sweep(tmp_path)
            swept.append(name)
        return handle, name

    monkeypatch.setattr(files.tempfile, "mkstemp", make_and_lose)
    files.write(tmp_path / "kept", "whole")
    assert swept
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_where_there_are_no_locks_files_are_written_and_nothing_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", refuse)
    left = tmp_path / f"{files.UNFINISHED}left"
    left.touch()
    files.write(tmp_path / "kept", "whole")
    files.sweep(tmp_path)
    assert (tmp_path / "kept").read_text() == "whole"
    assert left.exists()


def test_nothing_is_swept_where_nothing_is(tmp_path: Path) -> None:
    files.sweep(tmp_path / "nowhere")
