"""The rows are the same each time, and compress like those of people."""

import itertools
import random

import zstandard

from benchmarks.backup.dataset import Words

ROWS = 5000


def rows() -> bytes:
    words = Words(random.Random(0))
    return "".join(itertools.islice(words.rows(random.Random(1), first=7), ROWS)).encode()


def test_the_same_rows_are_made_each_time():
    assert rows() == rows()


def test_every_row_has_all_columns_and_a_number_of_its_own():
    made = [line.split("\t") for line in rows().decode().splitlines()]

    assert {len(columns) for columns in made} == {9}
    assert [columns[0] for columns in made] == [str(number) for number in range(7, 7 + ROWS)]


def test_they_compress_like_real_ones():
    made = rows()

    assert 2.5 < len(made) / len(zstandard.compress(made, 1)) < 4
