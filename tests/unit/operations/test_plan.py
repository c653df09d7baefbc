"""Plans: steps in order, told of when done, ended by the first that fails."""

import functools

import pytest

from guestagent.contract.errors import NotFound
from guestagent.operations.plan import Step, StepDone, carry_out


def test_steps_are_done_in_order() -> None:
    done: list[str] = []
    carry_out("prepare", [Step(name, functools.partial(done.append, name)) for name in "abc"])
    assert done == ["a", "b", "c"]


def test_the_watcher_is_told_of_every_step_when_it_is_done() -> None:
    events: list[str | StepDone] = []
    steps = [Step(name, functools.partial(events.append, name)) for name in ("mount", "start")]
    carry_out("prepare", steps, events.append)
    first, told_first, second, told_second = events
    assert (first, second) == ("mount", "start")
    assert isinstance(told_first, StepDone)
    assert isinstance(told_second, StepDone)
    assert (told_first.plan, told_first.step, told_first.number, told_first.steps) == ("prepare", "mount", 1, 2)
    assert (told_second.step, told_second.number) == ("start", 2)
    assert told_first.seconds >= 0


def test_the_first_step_that_fails_ends_the_plan_with_its_error() -> None:
    done: list[str] = []
    told: list[StepDone] = []

    def fail() -> None:
        raise NotFound(subject="The device /dev/vdb")

    steps = [Step("a", lambda: done.append("a")), Step("b", fail), Step("c", lambda: done.append("c"))]
    with pytest.raises(NotFound, match="/dev/vdb"):
        carry_out("prepare", steps, told.append)
    assert done == ["a"]
    assert [step.step for step in told] == ["a"]


def test_a_plan_without_steps_is_done() -> None:
    carry_out("nothing", [])
