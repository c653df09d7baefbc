"""What a user's queries get done, as they come one after the other."""

import random
import statistics
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final, Self

READS_FOR_A_CHANGE: Final = 4
READ: Final = "SELECT state, amount, email, note FROM orders_0 WHERE id = %s"
CHANGE: Final = "UPDATE orders_0 SET state = 'returned', amount = amount + %s WHERE id = %s"


class Traffic:
    """One client that reads and changes rows by their keys without a pause; a context manager that ends it.

    :param connect: gives it a connection.
    :ivar queries_per_s: after the end.
    :ivar p95_ms: how long one of twenty waits for its answer at least; after the end.
    """

    def __init__(self, connect: Callable[[], AbstractContextManager[Any]]) -> None:
        self.queries_per_s = self.p95_ms = 0.0
        self._connect = connect
        self._over = threading.Event()
        self._client = threading.Thread(target=self._ask_again_and_again, daemon=True)

    def __enter__(self) -> Self:
        self._client.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._client.join()

    def _ask_again_and_again(self) -> None:
        chance = random.Random(0)
        waits: list[float] = []
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT MAX(id) FROM orders_0")
            last = cursor.fetchone()[0]
            begun = time.perf_counter()
            while not self._over.is_set():
                waits.append(_ask(cursor, chance.randint(0, last), change=len(waits) % (READS_FOR_A_CHANGE + 1) == 0))
            elapsed = time.perf_counter() - begun
        self.queries_per_s = len(waits) / elapsed
        self.p95_ms = statistics.quantiles(waits, n=20)[-1] * 1000


def _ask(cursor: Any, row: int, *, change: bool) -> float:
    begun = time.perf_counter()
    if change:
        cursor.execute(CHANGE, (1, row))
    else:
        cursor.execute(READ, (row,))
        cursor.fetchall()
    return time.perf_counter() - begun
