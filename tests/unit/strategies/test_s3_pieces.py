"""Pieces of an object."""

import hashlib
from collections.abc import Iterator

import pytest
from guestagent_s3.pieces import Gathering, piece


def everything(gathering: Gathering) -> list[bytes]:
    pieces = []
    while not gathering.over:
        pieces.append(b"".join(gathering.take().chunks))
    return pieces


@pytest.mark.parametrize(
    ("chunks", "pieces"),
    [
        ([], []),
        ([b"", b""], []),
        ([b"abc"], [b"abc"]),
        ([b"abcd"], [b"abcd"]),
        ([b"abcde"], [b"abcd", b"e"]),
        ([b"a", b"", b"bc", b"", b"def", b""], [b"abcd", b"ef"]),
        ([b"abcdefghijklm"], [b"abcd", b"efgh", b"ijkl", b"m"]),
        ([b"ab", b"cd", b"ef", b"gh"], [b"abcd", b"efgh"]),
    ],
)
def test_pieces_have_one_size_whatever_the_chunks_have(chunks: list[bytes], pieces: list[bytes]) -> None:
    assert everything(Gathering(chunks, 4)) == pieces


@pytest.mark.parametrize(("chunks", "only"), [([], b""), ([b"abc"], b"abc"), ([b"ab", b"", b"cd", b""], b"abcd")])
def test_what_fits_into_one_piece_is_the_only_one(chunks: list[bytes], only: bytes) -> None:
    gathering = Gathering(chunks, 4)

    found = gathering.only()

    assert found is not None
    assert b"".join(found.chunks) == only
    assert gathering.over


def test_what_does_not_fit_is_all_there_to_be_taken() -> None:
    gathering = Gathering([b"abc", b"def"], 4)

    assert gathering.only() is None
    assert everything(gathering) == [b"abcd", b"ef"]


def test_no_more_is_taken_than_is_needed() -> None:
    taken = []

    def source() -> Iterator[bytes]:
        for number in range(9):
            taken.append(number)
            yield b"xy"

    gathering = Gathering(source(), 4)
    assert gathering.only() is None
    assert taken == [0, 1, 2]
    gathering.take()
    gathering.take()
    assert taken == [0, 1, 2, 3]


def test_a_piece_knows_its_hashes() -> None:
    found = piece(b"hel", b"lo")

    assert found.size == 5
    assert found.sha256 == hashlib.sha256(b"hello").hexdigest()
    assert found.md5 == hashlib.md5(b"hello").digest()
    assert found.content_md5 == "XUFAKrxLKna5cZ2REBfFkg=="
