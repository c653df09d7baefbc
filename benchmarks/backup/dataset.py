"""A database that compresses like a real one: the same rows for the same size, each time."""

import bisect
import itertools
import os
import random
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.process import MIB

DATABASE: Final = "shop"
TABLES: Final = 4
"""Of equal size, so that a backup has more than one file to read."""
TABLE: Final = """CREATE TABLE {table} (
    id INT UNSIGNED PRIMARY KEY,
    customer INT UNSIGNED NOT NULL,
    placed DATETIME(3) NOT NULL,
    state ENUM('new', 'paid', 'packed', 'sent', 'returned') NOT NULL,
    amount DECIMAL(10, 2) NOT NULL,
    reference CHAR(32) CHARACTER SET ascii NOT NULL,
    email VARCHAR(80) NOT NULL,
    address VARCHAR(120) NOT NULL,
    note TEXT NOT NULL,
    KEY customer (customer)
) CHARACTER SET utf8mb4"""
STATES: Final = ("new", "paid", "packed", "sent", "returned")
WORDS: Final = 4000
SENTENCES: Final = 20000
LETTERS: Final = "etaoinshrdlucmfwypvbgkjqxz"
"""By how often English has them."""
TOWNS: Final = 400
ROWS_AT_A_TIME: Final = 1000
LOAD: Final = "LOAD DATA LOCAL INFILE '{pipe}' INTO TABLE {table} CHARACTER SET utf8mb4"


def fill(connection: Any, pipe: Path, size: int) -> None:
    """Make the tables.

    :param connection: a client's, with the database chosen and local files allowed.
    :param pipe: is made and removed again.
    :param size: bytes of the rows as text; the tables take a little more.
    """
    words = Words(random.Random(0))
    for number in range(TABLES):
        table = f"orders_{number}"
        with connection.cursor() as cursor:
            cursor.execute(TABLE.format(table=table))
            # A table that is empty then takes its rows without a log of each.
            cursor.execute("SET unique_checks = 0, foreign_key_checks = 0")
            os.mkfifo(pipe)
            writer = threading.Thread(target=_write, args=(pipe, words, number, size // TABLES), daemon=True)
            writer.start()
            try:
                cursor.execute(LOAD.format(pipe=pipe, table=table))
            finally:
                pipe.unlink()
            writer.join()
        connection.commit()


class Words:
    """What people write, of words that are as common as words are, and little of it twice."""

    def __init__(self, chance: random.Random) -> None:
        letters = list(itertools.accumulate(1 / rank for rank in range(1, len(LETTERS) + 1)))
        words = ["".join(_drawn(chance, LETTERS, letters, chance.randint(2, 11))) for _ in range(WORDS)]
        # Zipf's law: the second word is half as common as the first.
        common = list(itertools.accumulate(1 / rank for rank in range(1, WORDS + 1)))
        self.sentences = [
            " ".join(_drawn(chance, words, common, chance.randint(5, 14))).capitalize() + "." for _ in range(SENTENCES)
        ]
        self.names = [word.capitalize() for word in words]
        self.towns = chance.sample(self.names, TOWNS)

    def rows(self, chance: random.Random, first: int) -> Iterator[str]:
        """Rows without end, as ``LOAD DATA`` reads them.

        :param first: number of the first one.
        """
        draw, bits, sentences, names, towns = chance.random, chance.getrandbits, self.sentences, self.names, self.towns
        second = 1_700_000_000_000
        for number in itertools.count(first):
            second += int(draw() * 60_000)
            minute, milliseconds = divmod(second % 3_600_000, 60_000)
            hour = second // 3_600_000 % 24
            day, month = second // 86_400_000 % 28 + 1, second // 2_419_200_000 % 12 + 1
            name, other = names[int(draw() * WORDS)], names[int(draw() * WORDS)]
            note = " ".join([sentences[int(draw() * SENTENCES)] for _ in range(int(draw() * 6) + 1)])
            yield (
                f"{number}\t{number // 3 + int(draw() * 1000)}"
                f"\t2025-{month:02}-{day:02} {hour:02}:{minute:02}:{milliseconds / 1000:06.3f}"
                f"\t{STATES[int(draw() * draw() * 5)]}\t{draw() * draw() * 900:.2f}\t{bits(128):032x}"
                f"\t{name.lower()}.{other.lower()}{int(draw() * 100)}@example.com"
                f"\t{int(draw() * 200)} {other} Street, {int(draw() * 90000) + 10000} {towns[int(draw() * TOWNS)]}"
                f"\t{note}\n"
            )


def _drawn(chance: random.Random, choice: Sequence[str], weights: Sequence[float], count: int) -> list[str]:
    return [choice[bisect.bisect(weights, chance.random() * weights[-1], hi=len(choice) - 1)] for _ in range(count)]


def _write(pipe: Path, words: Words, number: int, size: int) -> None:
    """Write a table's rows until they have so many bytes."""
    rows = words.rows(random.Random(number), number << 26)
    written = 0
    with pipe.open("w", encoding="utf-8", buffering=MIB) as stream:
        while written < size:
            written += stream.write("".join(itertools.islice(rows, ROWS_AT_A_TIME)))
