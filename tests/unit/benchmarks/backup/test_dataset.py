"""The rows are the same each time, and compress like those of people."""

import itertools
import random
from pathlib import Path

import zstandard

from benchmarks.backup.dataset import TABLES, Words, tables

ROWS = 5000


def rows() -> bytes:
    words = Words()
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


def test_a_table_ends_where_it_has_its_bytes():
    batches = list(Words().batches(table=2, size=1_000_000))

    assert sum(len(row) for batch in batches[:-1] for row in batch) < 1_000_000
    assert sum(len(row) for batch in batches for row in batch) >= 1_000_000


def test_every_table_is_read_from_the_pipe_and_the_pipe_is_gone_afterwards(tmp_path: Path):
    pipe = tmp_path / "rows"

    read = {table: pipe.read_text() for table in tables(pipe, TABLES * 10_000)}

    assert list(read) == [f"orders_{number}" for number in range(TABLES)]
    assert all(len(rows) >= 10_000 for rows in read.values())
    assert len({row.split("\t")[0] for rows in read.values() for row in rows.splitlines()}) == sum(
        len(rows.splitlines()) for rows in read.values()
    )
    assert not pipe.exists()
