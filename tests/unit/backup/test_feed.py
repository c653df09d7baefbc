"""Chunks of any sizes, taken in exact numbers of bytes."""

import random

from guestagent.backup.feed import Feed
from tests.unit.backup.streams import pieces


def test_what_is_taken_is_what_was_fed_whatever_the_sizes() -> None:
    chance = random.Random(3)
    content = chance.randbytes(5000)
    for _ in range(200):
        feed = Feed(iter([b"", *pieces(content, chance.randint(1, 700)), b"", b""]))
        found = b""
        while not feed.ended:
            size = chance.randint(1, 900)
            taken = feed.take(size)
            assert len(taken) == min(size, len(content) - len(found))
            found += taken
            assert feed.offset == len(found)
        assert found == content
        assert feed.take(5) == b""


def test_a_feed_of_nothing_has_ended() -> None:
    assert Feed([]).ended
    assert Feed([b"", b""]).ended
    assert Feed([]).take(3) == b""


def test_a_chunk_that_fits_is_not_copied() -> None:
    chunk = b"x" * 1000
    assert Feed([chunk]).take(1000) is chunk
