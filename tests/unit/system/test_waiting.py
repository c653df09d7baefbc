"""Waits that end early: by a cancel from another thread, by the end of a step's time, and not under a shield."""

import os
import resource
import select
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from guestagent.contract.errors import Cancelled, TimedOut
from guestagent.system import waiting
from guestagent.system.waiting import Interruption
from tests.support.interruptions import PROMPT, cancelled_once, nothing_adds_up, something_waits, timed_out_after

LONG = 30.0
"""Seconds that no test waits."""


def cancelled(operation: str = "work") -> Cancelled:
    return Cancelled(operation=operation, phase="")


@pytest.fixture
def interruption() -> Iterator[Interruption]:
    """One that is applied."""
    made = Interruption()
    with made.applied():
        yield made


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def seconds_of(wait: Callable[[], object]) -> float:
    began = time.monotonic()
    wait()
    return time.monotonic() - began


def test_without_an_interruption_a_pause_is_a_sleep() -> None:
    assert 0.1 <= seconds_of(lambda: waiting.pause(0.1)) < PROMPT
    assert seconds_of(lambda: waiting.pause(0)) < PROMPT


def test_without_an_interruption_nothing_limits_a_wait() -> None:
    waiting.check()
    assert waiting.until(5) == 5
    assert waiting.until(None) is None
    with waiting.shielded():
        waiting.check()


def test_without_an_interruption_a_poll_is_a_poll(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    poller = select.poll()
    poller.register(reading, select.POLLIN)
    began = time.monotonic()
    assert waiting.poll(poller, began + 0.1) == []
    assert 0.1 <= time.monotonic() - began < PROMPT
    os.write(writing, b"x")
    assert waiting.poll(poller, time.monotonic() + LONG) == [reading]
    assert waiting.poll(poller, time.monotonic()) == [reading]


def test_an_interruption_that_nobody_uses_changes_nothing(interruption: Interruption, pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    poller = select.poll()
    poller.register(reading, select.POLLIN)
    waiting.check()
    assert not interruption.cancelled
    assert 0.1 <= seconds_of(lambda: waiting.pause(0.1)) < PROMPT
    assert waiting.until(5) == 5
    assert waiting.until(None) is None
    assert waiting.poll(poller, time.monotonic() + 0.01) == []
    os.write(writing, b"x")
    assert waiting.poll(poller, time.monotonic() + LONG) == [reading]


def test_a_cancel_ends_a_pause_at_once() -> None:
    with cancelled_once():
        waiting.pause(LONG)


def test_a_cancel_ends_a_poll_at_once(pipe: tuple[int, int]) -> None:
    poller = select.poll()
    poller.register(pipe[0], select.POLLIN)
    with cancelled_once():
        waiting.poll(poller, time.monotonic() + LONG)
    assert waiting.poll(poller, time.monotonic()) == [], "the wake-up stayed in the poller"


def test_after_a_cancel_every_wait_ends_at_once(interruption: Interruption) -> None:
    error = cancelled()
    interruption.cancel(error)
    assert interruption.cancelled
    waits: list[Callable[[], object]] = [waiting.check, lambda: waiting.pause(LONG), lambda: waiting.until(LONG)]
    for wait in waits * 2:
        with pytest.raises(Cancelled) as raised:
            wait()
        assert raised.value is error


def test_a_cancel_before_the_operation_runs_counts() -> None:
    interruption = Interruption()
    interruption.cancel(cancelled())
    with interruption.applied(), pytest.raises(Cancelled):
        waiting.pause(LONG)


def test_the_first_cancel_stays(interruption: Interruption) -> None:
    interruption.cancel(cancelled("first"))
    interruption.cancel(cancelled("second"))
    with pytest.raises(Cancelled, match="first"):
        waiting.check()


def test_an_error_that_many_waits_raise_does_not_collect_their_frames(interruption: Interruption) -> None:
    interruption.cancel(cancelled())
    lengths = set()
    for _ in range(3):
        with pytest.raises(Cancelled) as raised:
            waiting.check()
        lengths.add(len(raised.traceback))
    assert len(lengths) == 1


def test_an_interruption_ends_with_its_block() -> None:
    interruption = Interruption()
    interruption.cancel(cancelled())
    with interruption.applied():
        pass
    waiting.check()


def test_inner_operations_have_interruptions_of_their_own(interruption: Interruption) -> None:
    inner = Interruption()
    with inner.applied():
        interruption.cancel(cancelled())
        waiting.check()
    with pytest.raises(Cancelled):
        waiting.check()


def test_other_threads_are_not_interrupted(interruption: Interruption) -> None:
    interruption.cancel(cancelled())
    with ThreadPoolExecutor(1) as elsewhere:
        elsewhere.submit(waiting.pause, 0.01).result()


def test_the_end_of_a_steps_time_ends_a_pause() -> None:
    with timed_out_after(0.2, "make tables"):
        waiting.pause(LONG)


def test_no_time_is_a_limit_too() -> None:
    with timed_out_after(0):
        waiting.pause(LONG)


def test_a_limit_ends_with_its_block(interruption: Interruption) -> None:
    with interruption.limited("ask", 0):
        pass
    waiting.check()


def test_many_short_waits_share_the_time_of_their_step() -> None:
    with timed_out_after(0.2):
        pause_many_times()


def pause_many_times() -> None:
    for _ in range(1000):
        waiting.pause(0.01)


def test_a_wait_may_last_as_long_as_its_step_has_left(interruption: Interruption) -> None:
    with interruption.limited("ask", LONG):
        assert waiting.until(5) == 5
        for asked in (LONG * 2, None):
            left = waiting.until(asked)
            assert left is not None
            assert LONG - PROMPT < left <= LONG


@pytest.mark.parametrize(
    ("outer", "inner", "named"), [(LONG, 0.1, "inner"), (0.1, LONG, "outer"), (0.1, None, "outer")]
)
def test_of_limits_in_each_other_the_nearest_counts(
    interruption: Interruption, outer: float, inner: float | None, named: str
) -> None:
    with interruption.limited("outer", outer):
        with pytest.raises(TimedOut, match=f"'{named}'"), interruption.limited("inner", inner):
            waiting.pause(LONG / 2)
        if named == "inner":
            waiting.check()


def test_a_step_without_a_limit_waits_as_long_as_it_likes(interruption: Interruption) -> None:
    with interruption.limited("ask", None):
        assert waiting.until(None) is None
        waiting.pause(0.01)


def test_a_cancel_goes_before_the_end_of_the_time(interruption: Interruption) -> None:
    interruption.cancel(cancelled())
    with interruption.limited("ask", 0), pytest.raises(Cancelled):
        waiting.check()


def test_a_step_that_is_cancelled_ends_before_its_time() -> None:
    with cancelled_once() as interruption, interruption.limited("ask", LONG):
        waiting.pause(LONG * 2)


def test_what_is_undone_after_a_cancel_waits_to_its_end(interruption: Interruption) -> None:
    interruption.cancel(cancelled())
    with interruption.shielded():
        assert 0.1 <= seconds_of(lambda: waiting.pause(0.1)) < PROMPT
        with waiting.shielded():
            waiting.check()
        assert waiting.until(None) is None
    with pytest.raises(Cancelled):
        waiting.check()


def test_a_cancel_does_not_wake_what_is_shielded(interruption: Interruption) -> None:
    shielded = threading.Event()

    def cancel() -> None:
        shielded.wait()
        interruption.cancel(cancelled())

    with ThreadPoolExecutor(1) as elsewhere:
        cancelling = elsewhere.submit(cancel)
        with waiting.shielded():
            shielded.set()
            assert 0.3 <= seconds_of(lambda: waiting.pause(0.3)) < PROMPT
            cancelling.result()
    with pytest.raises(Cancelled):
        waiting.check()


def test_a_shield_keeps_off_the_time_of_the_step_around_it(interruption: Interruption) -> None:
    with interruption.limited("ask", 0.01):
        with interruption.shielded():
            assert seconds_of(lambda: waiting.pause(0.1)) >= 0.1
        with pytest.raises(TimedOut):
            waiting.check()


def test_what_undoes_can_have_a_limit_of_its_own(interruption: Interruption) -> None:
    interruption.cancel(cancelled())
    began = time.monotonic()
    with interruption.shielded(), pytest.raises(TimedOut, match="'undo'"), interruption.limited("undo", 0.1):
        waiting.pause(LONG)
    assert time.monotonic() - began < PROMPT


def test_who_waits_sleeps_and_does_not_look_again_and_again(interruption: Interruption) -> None:
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
    with interruption.limited("ask", LONG):
        waiting.pause(0.5)
    assert resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before < 10


def test_interruptions_leave_nothing_open() -> None:
    with nothing_adds_up(200):
        for _ in range(200):
            with cancelled_once():
                waiting.pause(LONG)
        for _ in range(200):
            with timed_out_after(0.001) as interruption:
                waiting.pause(LONG)
            interruption.cancel(cancelled())
    assert not something_waits()
