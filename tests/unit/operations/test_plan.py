"""Plans as somebody carries them out by hand, with nothing running: steps in order, ended by the first that fails."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from guestagent.contract.errors import NotFound
from guestagent.operations.plan import Plan, Step, StepDone, Watcher
from guestagent.operations.queue import OperationQueue


@pytest.fixture
def told() -> list[Any]:
    """What the watcher heard, and whatever a test adds to it."""
    return []


@pytest.fixture
def carry_out(told: list[Any]) -> Iterator[Callable[[Plan], None]]:
    watcher: Watcher = told.append
    operations = OperationQueue(watch=watcher)
    yield operations.carry_out
    operations.drain()


def test_steps_are_done_in_order(carry_out: Callable[[Plan], None]) -> None:
    done: list[str] = []
    carry_out(Plan("prepare", [Step(name, functools.partial(done.append, name)) for name in "abc"]))
    assert done == ["a", "b", "c"]


def test_the_watcher_is_told_of_every_step_when_it_is_done(carry_out: Callable[[Plan], None], told: list[Any]) -> None:
    carry_out(Plan("prepare", [Step(name, functools.partial(told.append, name)) for name in ("mount", "start")]))
    first, told_first, second, told_second = told
    assert (first, second) == ("mount", "start")
    assert isinstance(told_first, StepDone)
    assert isinstance(told_second, StepDone)
    assert (told_first.plan, told_first.step, told_first.number, told_first.steps) == ("prepare", "mount", 1, 2)
    assert (told_second.step, told_second.number) == ("start", 2)
    assert told_first.seconds >= 0


def test_the_first_step_that_fails_ends_the_plan_with_its_error(
    carry_out: Callable[[Plan], None], told: list[Any]
) -> None:
    done: list[str] = []

    def fail() -> None:
        raise NotFound(subject="The device /dev/vdb")

    steps = [Step("a", lambda: done.append("a")), Step("b", fail), Step("c", lambda: done.append("c"))]
    with pytest.raises(NotFound, match="/dev/vdb"):
        carry_out(Plan("prepare", steps))
    assert done == ["a"]
    assert [step.step for step in told] == ["a"]


def test_a_plan_without_steps_is_done(carry_out: Callable[[Plan], None], told: list[Any]) -> None:
    carry_out(Plan("nothing", []))
    assert told == []
