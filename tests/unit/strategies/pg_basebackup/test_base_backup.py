"""One tar stream of what a server sends: the files, and its manifest behind them."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest
from guestagent_pg_basebackup.base_backup import MANIFEST, TAR_END, BaseBackup, Made
from guestagent_pg_basebackup.session import Session

from guestagent.contract.errors import DatastoreError, NotSupported, SystemFailure
from tests.unit.strategies.pg_basebackup.speaking import data, message, problem, row, session

READY = message(b"Z", b"I")
LISTED = b'{ "files": [] }' * 100
BEFORE = row("0/2000028", "3") + row(None, None, "100") + message(b"H", b"\0\0\0") + message(b"d", b"nbase.tar\0\0")
AFTER = message(b"c") + row("0/2000100", "3") + message(b"C", b"SELECT\0") + READY
MANIFEST_BEGINS, PROGRESS = message(b"d", b"m"), message(b"d", b"p" + bytes(8))


def tar(**contents: bytes) -> bytes:
    """As the server sends it: it ends with two empty blocks and nothing else."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        size = archive.offset
    return made.getvalue()[:size] + TAR_END


def sent(content: bytes, size: int) -> bytes:
    return b"".join(data(content[at : at + size]) + PROGRESS for at in range(0, len(content), size))


def read(made: Session, size: int) -> tuple[bytes, Made]:
    backup = BaseBackup(made, "BASE_BACKUP", io.BytesIO())
    return b"".join(iter(lambda: backup.read(size), b"")), backup.finish()


@pytest.mark.parametrize("size", [1, 1000, 1 << 20])
@pytest.mark.parametrize("listed", [LISTED, LISTED[:512], b"{}"])
def test_the_manifest_is_the_last_file(tmp_path: Path, size: int, listed: bytes) -> None:
    files = {"PG_VERSION": b"15\n", "table": b"t" * 20_000}
    said = BEFORE + sent(tar(**files), 8192) + MANIFEST_BEGINS + sent(listed, 700) + AFTER
    with session(tmp_path, said) as talking:
        stream, made = read(talking, size)
    with tarfile.open(fileobj=io.BytesIO(stream)) as archive:
        found = {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]
    assert list(found.items()) == [*files.items(), (MANIFEST, listed)]
    assert stream.endswith(TAR_END)
    assert made == Made("0/2000028", "0/2000100", 3, hashlib.sha256(listed).hexdigest())


def test_the_end_of_the_archive_may_come_with_other_bytes(tmp_path: Path) -> None:
    said = BEFORE + data(tar(one=b"1")) + MANIFEST_BEGINS + data(LISTED) + AFTER
    with session(tmp_path, said) as talking:
        stream, _ = read(talking, 1 << 20)
    with tarfile.open(fileobj=io.BytesIO(stream)) as archive:
        assert archive.getnames() == ["one", MANIFEST]


@pytest.mark.parametrize(
    "pieces",
    [
        data(tar(one=b"1")),
        MANIFEST_BEGINS + data(LISTED),
        data(tar(one=b"1")[:-512]) + MANIFEST_BEGINS + data(LISTED),
        b"",
    ],
)
def test_what_is_not_whole_is_refused(tmp_path: Path, pieces: bytes) -> None:
    with session(tmp_path, BEFORE + pieces + AFTER) as talking, pytest.raises(DatastoreError, match="not whole"):
        read(talking, 1 << 20)


def test_a_disk_that_has_no_room_for_the_manifest_is_told(tmp_path: Path) -> None:
    said = BEFORE + data(tar(one=b"1")) + MANIFEST_BEGINS + data(LISTED) + AFTER
    with session(tmp_path, said) as talking, Path("/dev/full").open("r+b", buffering=0) as full:
        backup = BaseBackup(talking, "BASE_BACKUP", full)
        with pytest.raises(SystemFailure, match="manifest of the backup failed: No space left on device"):
            list(iter(lambda: backup.read(1 << 20), b""))


def test_tablespaces_are_refused(tmp_path: Path) -> None:
    said = row("0/2000028", "1") + row("16385", "/elsewhere", "7") + row(None, None, "100") + message(b"H", b"\0\0\0")
    with session(tmp_path, said) as talking, pytest.raises(NotSupported, match="tablespaces"):
        BaseBackup(talking, "BASE_BACKUP", io.BytesIO())


def test_a_failure_after_the_last_file_is_one(tmp_path: Path) -> None:
    ended = message(b"c") + problem(b"E", "ERROR", "checksum verification failure during base backup") + READY
    said = BEFORE + data(tar(one=b"1")) + MANIFEST_BEGINS + data(LISTED) + ended
    with session(tmp_path, said) as talking, pytest.raises(DatastoreError, match="checksum verification failure"):
        read(talking, 1 << 20)
