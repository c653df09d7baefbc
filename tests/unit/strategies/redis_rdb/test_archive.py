"""The archive: what tar reads, and back, in any pieces."""

import io
import tarfile
from pathlib import Path

import pytest
from guestagent_redis_rdb import archive

from guestagent.contract.errors import SystemFailure
from guestagent.system import files


@pytest.fixture(params=[0, 1, 511, 512, 513, 70_000])
def paths(request: pytest.FixtureRequest, tmp_path: Path) -> list[Path]:
    """Two files, one of them of a size at an edge of a block."""
    (tmp_path / "a").write_bytes(b"small")
    (tmp_path / "b").write_bytes(bytes(number % 251 for number in range(request.param)))
    return [tmp_path / "a", tmp_path / "b"]


def stream(paths: list[Path], size: int) -> bytes:
    writing = archive.Writing(paths)
    return b"".join(iter(lambda: writing.read(size), b""))


def test_it_is_a_tar_archive(paths: list[Path]) -> None:
    with tarfile.open(fileobj=io.BytesIO(stream(paths, 4096))) as found:
        contents = {entry.name: found.extractfile(entry) for entry in found}
        assert {name: file and file.read() for name, file in contents.items()} == {
            path.name: path.read_bytes() for path in paths
        }
        assert all(entry.mode == 0o600 and entry.isreg() for entry in found)


def test_the_same_files_are_the_same_bytes_in_whatever_pieces(paths: list[Path]) -> None:
    assert stream(paths, 3) == stream(paths, 1 << 20) == stream(paths, 4096)


@pytest.mark.parametrize("size", [7, 1 << 20])
def test_it_is_taken_apart_again(paths: list[Path], tmp_path: Path, size: int) -> None:
    content = stream(paths, 4096)
    chunks = (content[at : at + size] for at in range(0, len(content), size))
    target = tmp_path / "target"
    target.mkdir()
    assert archive.unpack(chunks, ("a", "b"), lambda name: files.replacing(target / name)) == {"a", "b"}
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {
        path.name: path.read_bytes() for path in paths
    }


@pytest.mark.parametrize("name", ["missing", "link", "directory"])
def test_only_regular_files_are_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    (tmp_path / "directory").mkdir()
    with pytest.raises(SystemFailure):
        archive.Writing([tmp_path / name])
