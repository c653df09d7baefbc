"""Waiting for what happens elsewhere."""

import threading
import time

import pytest

from guestagent.conformance.poll import eventually


def test_it_returns_what_was_found_as_soon_as_it_is_there():
    answers = iter([None, 0, "found", "too late"])

    assert eventually(lambda: next(answers)) == "found"


def test_it_sees_what_another_thread_does():
    done = threading.Event()
    threading.Timer(0.05, done.set).start()

    assert eventually(done.is_set, timeout=10) is True


def test_it_says_what_is_missing_when_the_time_is_over():
    started = time.monotonic()

    with pytest.raises(AssertionError, match=r"no answer \(waited 0\.1 s\)"):
        eventually(lambda: False, timeout=0.1, message="no answer")

    assert 0.1 <= time.monotonic() - started < 5


def test_the_message_is_made_when_it_is_needed():
    looks: list[int] = []

    with pytest.raises(AssertionError, match=r"looked at least twice: True"):
        eventually(
            lambda: looks.append(1),
            timeout=0.05,
            message=lambda: f"looked at least twice: {len(looks) >= 2}",
        )


def test_no_time_is_enough_for_what_is_there_already():
    assert eventually(lambda: True, timeout=0) is True
