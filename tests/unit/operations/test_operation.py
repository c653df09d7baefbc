"""An operation: what can be seen of it while it runs, and when it may be ended early."""

import pytest

from guestagent.contract.errors import Cancelled, NotCancellable
from guestagent.contract.operations import OperationState
from guestagent.operations.operation import Operation, Request
from guestagent.operations.plan import Plan, Step
from guestagent.system import waiting

SECRET = "correct horse battery staple"


def nothing() -> None:
    """The work of a step that has none."""


def plan(*names: str, cancellable: bool = False) -> Plan:
    return Plan("plan", [Step(name, nothing) for name in names], cancellable=cancellable)


@pytest.fixture
def operation() -> Operation:
    """One that runs."""
    made = Operation("work", "req-1", nothing)
    made.begin()
    return made


def test_no_two_have_the_same_id() -> None:
    assert len({Operation("work", "req-1", nothing).id for _ in range(100)}) == 100


def test_its_seconds_are_those_since_its_turn_came(operation: Operation) -> None:
    first = operation.seconds
    assert 0 <= first <= operation.seconds < 60


def test_what_it_was_asked_for_is_not_in_its_text() -> None:
    request = Request("", {"password": SECRET}, {"auth_token": SECRET})
    assert SECRET not in repr(Operation("work", "req-1", nothing, request))


def test_a_plan_is_seen_while_it_is_carried_out(operation: Operation) -> None:
    steps = plan("a", "b", "c", "d")
    with operation.doing(steps):
        operation.reach(steps, 3, steps.steps[3])
        assert (operation.phase, operation.percent) == ("d", 75)
    assert (operation.phase, operation.percent) == (None, None)


def test_of_one_step_nobody_knows_how_far_it_is(operation: Operation) -> None:
    steps = plan("a")
    with operation.doing(steps):
        operation.reach(steps, 0, steps.steps[0])
        assert (operation.phase, operation.percent) == ("a", None)


def test_plans_inside_of_a_step_are_called_after_it(operation: Operation) -> None:
    steps = plan("a", "b")
    assert operation.scope == ""
    with operation.doing(steps):
        operation.reach(steps, 0, steps.steps[0])
        assert operation.scope == "plan / a / "
    assert operation.scope == ""


def test_what_has_not_begun_can_be_cancelled() -> None:
    operation = Operation("work", "req-1", nothing)
    operation.cancel()
    with operation.interruption.applied(), pytest.raises(Cancelled, match=r"^'work' was cancelled\.$"):
        waiting.check()


def test_cancelling_says_where_it_was(operation: Operation) -> None:
    steps = plan("a", cancellable=True)
    with operation.doing(steps):
        operation.reach(steps, 0, steps.steps[0])
        operation.cancel()
        operation.cancel()
    with operation.interruption.applied(), pytest.raises(Cancelled, match="in step 'a'"):
        waiting.check()


@pytest.mark.parametrize(
    ("state", "problem"),
    [(OperationState.RUNNING, "must not be left in the middle"), (OperationState.DONE, "it has ended")],
)
def test_what_must_not_be_cancelled_goes_on(operation: Operation, state: OperationState, problem: str) -> None:
    operation.state = state
    with pytest.raises(NotCancellable, match=problem):
        operation.cancel()
    with operation.interruption.applied():
        waiting.check()


def test_whether_it_can_be_cancelled_is_the_innermost_plans_word(operation: Operation) -> None:
    asked: list[bool] = []
    with operation.doing(plan("a", cancellable=True)):
        asked.append(operation.cancellable)
        with operation.doing(plan("b")):
            asked.append(operation.cancellable)
        asked.append(operation.cancellable)
    asked.append(operation.cancellable)
    assert asked == [True, False, True, False]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_plan_that_fails_is_seen_no_longer(operation: Operation, error: type[BaseException]) -> None:
    def fail() -> None:
        with operation.doing(plan("a", cancellable=True)):
            raise error

    with pytest.raises(error):
        fail()
    assert not operation.cancellable
