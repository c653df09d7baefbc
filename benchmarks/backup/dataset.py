"""A database that compresses like a real one: the same rows for the same size, each time."""

import bisect
import itertools
import os
import random
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.process import MIB

DATABASE: Final = "shop"
TABLES: Final = 4
"""Of equal size, so that a backup has more than one file to read."""
STATES: Final = ("new", "paid", "packed", "sent", "returned")
WORDS: Final = 4000
SENTENCES: Final = 20000
LETTERS: Final = "etaoinshrdlucmfwypvbgkjqxz"
"""By how often English has them."""
TOWNS: Final = 400
ROWS_AT_A_TIME: Final = 1000


def tables(pipe: Path, size: int) -> Iterator[str]:
    """The tables' names, each while its rows can be read from the pipe, as ``LOAD DATA`` and ``COPY`` read them.

    :param pipe: is made and removed again for each.
    :param size: bytes of the rows of all of them.
    """
    words = Words()
    for number in range(TABLES):
        os.mkfifo(pipe)
        writer = threading.Thread(target=_write, args=(pipe, words, number, size // TABLES), daemon=True)
        writer.start()
        try:
            yield f"orders_{number}"
        finally:
            pipe.unlink()
        writer.join()


class Words:
    """What people write, of words that are as common as words are, and little of it twice."""

    def __init__(self) -> None:
        chance = random.Random(0)
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
        """Rows without end, in columns with tabs between them.

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

    def batches(self, table: int, size: int) -> Iterator[list[str]]:
        """A table's rows, :data:`ROWS_AT_A_TIME` of them, until they have so many bytes."""
        rows = self.rows(random.Random(table), table << 26)
        made = 0
        while made < size:
            batch = list(itertools.islice(rows, ROWS_AT_A_TIME))
            made += sum(map(len, batch))
            yield batch


def _drawn(chance: random.Random, choice: Sequence[str], weights: Sequence[float], count: int) -> list[str]:
    return [choice[bisect.bisect(weights, chance.random() * weights[-1], hi=len(choice) - 1)] for _ in range(count)]


def _write(pipe: Path, words: Words, number: int, size: int) -> None:
    """Write a table's rows until they have so many bytes."""
    with pipe.open("w", encoding="utf-8", buffering=MIB) as stream:
        for rows in words.batches(number, size):
            stream.write("".join(rows))
