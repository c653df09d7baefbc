"""So many bytes in a second, whoever takes them and in whatever pieces."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from guestagent.backup.throttle import Throttle
from tests.support.interruptions import PROMPT, cancelled_once

RATE = 10_000_000


@pytest.mark.parametrize("chunk", [1000, 100_000, 3_000_000])
def test_a_rate_is_held(chunk: int) -> None:
    throttle = Throttle(RATE)
    chunks = [bytes(chunk)] * (12_000_000 // chunk)
    began = time.monotonic()
    passed = sum(map(len, throttle.pass_on(chunks)))
    seconds = time.monotonic() - began
    assert passed == 12_000_000
    # What nobody had used before may be made up for.
    assert 0.9 * passed / RATE - 0.1 <= seconds < passed / RATE + PROMPT


def test_several_threads_share_the_rate() -> None:
    throttle = Throttle(RATE)
    together = threading.Barrier(4)

    def use(_: int) -> None:
        together.wait()
        for _ in throttle.pass_on([bytes(250_000)] * 10):
            pass

    began = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(4)))
    assert 0.8 <= time.monotonic() - began < 1 + PROMPT


def test_what_was_not_used_is_not_saved_up() -> None:
    throttle = Throttle(RATE)
    time.sleep(0.5)
    began = time.monotonic()
    throttle.take(5_000_000)
    throttle.take(1)
    assert time.monotonic() - began >= 0.35


def test_a_low_rate_passes_small_pieces() -> None:
    throttle = Throttle(100_000)
    first = next(throttle.pass_on([bytes(1_000_000)]))
    assert len(first) <= 10_000


def test_without_a_rate_nothing_is_held_up_or_cut() -> None:
    throttle = Throttle(0)
    chunk = bytes(1 << 20)
    began = time.monotonic()
    assert all(passed is chunk for passed in throttle.pass_on([chunk] * 1000))
    throttle.take(1 << 40)
    assert time.monotonic() - began < PROMPT


def test_a_cancel_ends_the_wait() -> None:
    with cancelled_once():
        Throttle(1000).take(1_000_000)
