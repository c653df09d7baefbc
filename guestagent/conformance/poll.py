"""Waiting for what happens elsewhere."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def eventually(
    look: Callable[[], Found],
    *,
    timeout: float = 60.0,
    message: str | Callable[[], str] = "it did not happen",
    every: float = 0.02,
) -> Found:
    """Look again and again until the answer is true in Python's sense, and return that answer.

    :param look: is asked at least twice: at once, and when the time is over.
    :param timeout: seconds.
    :param message: what is missing when it never happens, or the function that says it then.
    :param every: seconds between two looks.
    :raises AssertionError: the time is over.
    """
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while True:
        over = time.monotonic() >= deadline
        if found := look():
            return found
        if over:
            said = message() if callable(message) else message
            raise AssertionError(f"{said} (waited {timeout:g} s)")
        pause.wait(every)
