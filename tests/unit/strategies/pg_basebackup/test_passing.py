"""A file that is kept while its tar stream passes by, in pieces of any size."""

import hashlib
import io
import tarfile

import pytest
from guestagent_pg_basebackup.passing import Passing

from guestagent.contract.errors import DatastoreError

WANTED = b"{ what the server says }" * 50


def stream(**contents: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        directory = tarfile.TarInfo("base")
        directory.type = tarfile.DIRTYPE
        tar.addfile(directory)
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return made.getvalue()


@pytest.mark.parametrize("size", [1, 511, 512, 513, 1024, 1 << 20])
@pytest.mark.parametrize("wanted", [WANTED, WANTED[:512], WANTED[:1], b""])
def test_it_is_found_among_others(size: int, wanted: bytes) -> None:
    given = stream(before=b"x" * 3000, decoy=WANTED[:700], manifest=wanted, after=b"y" * 512)
    kept = io.BytesIO()
    passing = Passing("manifest", kept)
    for at in range(0, len(given), size):
        passing.look(given[at : at + size])
    assert kept.getvalue() == wanted
    assert passing.sha256 == hashlib.sha256(wanted).hexdigest()


@pytest.mark.parametrize("end", [0, 1000, -(1024 * 10)])
def test_one_that_is_not_there_or_not_whole_is_none(end: int) -> None:
    passing = Passing("manifest", io.BytesIO())
    passing.look(stream(other=b"x", manifest=WANTED)[: end or None] if end else stream(other=WANTED))
    with pytest.raises(DatastoreError, match="no whole file 'manifest'"):
        _ = passing.sha256


def test_what_is_no_tar_is_told() -> None:
    with pytest.raises(DatastoreError, match="no tar"):
        Passing("manifest", io.BytesIO()).look(b"-- a dump\n" * 100)
