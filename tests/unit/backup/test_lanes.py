"""Threads that work for one: the order, the bound, errors, and being woken."""

import os
import threading
import time

import pytest

from guestagent.backup.lanes import Lanes
from guestagent.contract.errors import Cancelled, StorageError
from guestagent.system import waiting
from tests.support.interruptions import PROMPT, cancelled_once, descriptors


def test_what_is_made_comes_in_the_order_of_the_items() -> None:
    def work(number: int) -> int:
        time.sleep(0.02 if number % 3 == 0 else 0)
        return number * number

    with Lanes(4, "test") as lanes:
        assert list(lanes.ordered(work, range(50), 6)) == [number * number for number in range(50)]


def test_no_more_is_made_than_may_be_held() -> None:
    begun: list[int] = []
    with Lanes(8, "test") as lanes:
        for number, _ in enumerate(lanes.ordered(begun.append, range(30), 3)):
            assert len(begun) <= number + 3
    assert sorted(begun) == list(range(30))


def test_as_many_work_at_a_time_as_there_are_threads() -> None:
    together = threading.Barrier(3)
    with Lanes(3, "test") as lanes:
        list(lanes.ordered(lambda _: together.wait(PROMPT), range(6), 4))


def test_threads_can_be_nicer_than_who_waits_for_them() -> None:
    def nice(_: int) -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = nice(0)
    with Lanes(2, "test", nice=3) as lanes:
        assert set(lanes.ordered(nice, range(4), 2)) == {before + 3}
    assert nice(0) == before


def test_what_fails_in_a_lane_fails_where_it_is_waited_for() -> None:
    def work(number: int) -> int:
        if number == 3:
            raise StorageError(subject="It", problem="no room")
        return number

    found: list[int] = []
    with Lanes(2, "test") as lanes, pytest.raises(StorageError, match="no room"):
        found.extend(lanes.ordered(work, range(10), 3))
    assert found == [0, 1, 2]


def test_a_cancel_wakes_who_waits_for_a_lane_and_what_is_in_it() -> None:
    begun: list[int] = []
    ended: list[type[BaseException]] = []

    def work(number: int) -> None:
        begun.append(number)
        try:
            waiting.pause(30)
        except Cancelled as error:
            ended.append(type(error))
            raise

    with cancelled_once(lambda: begun), Lanes(2, "test") as lanes:
        list(lanes.ordered(work, range(5), 3))
    assert 1 <= len(ended) <= 2, "those that had begun, and no other"


def test_an_end_of_the_step_wakes_who_waits() -> None:
    interruption = waiting.Interruption()
    began = time.monotonic()
    with (
        interruption.applied(),
        interruption.limited("stream", 0.1),
        pytest.raises(waiting.TimedOut),
        Lanes(1, "test") as lanes,
    ):
        lanes.wait([lanes.submit(waiting.pause, 30)])
    assert time.monotonic() - began < PROMPT


def test_a_shield_of_the_one_does_not_shield_the_others() -> None:
    interruption = waiting.Interruption()
    began = time.monotonic()
    with interruption.applied(), interruption.shielded(), Lanes(1, "test") as lanes:
        lanes.submit(waiting.pause, 30)
    assert time.monotonic() - began < PROMPT


def test_nothing_stays_open_or_running() -> None:
    before, threads = len(descriptors()), threading.active_count()
    for _ in range(20):
        with Lanes(3, "test") as lanes:
            list(lanes.ordered(str, range(9), 3))
    assert len(descriptors()) <= before
    assert threading.active_count() <= threads
