"""Both code paths: steps in order, the way back, cancels and times, and what an earlier agent has left."""

import contextlib
import dataclasses
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from guestagent.contract.errors import Cancelled, GuestAgentError, NotCancellable, NotFound, SystemFailure, TimedOut
from guestagent.contract.operations import CodePath, OperationDetails
from guestagent.operations.journal import Journal
from guestagent.operations.operation import Operation, Request
from guestagent.operations.plan import Plan, Step, StepDone
from guestagent.operations.queue import OperationQueue
from guestagent.system import waiting
from tests.unit.storage.full_disk import full_disk

MISSING = NotFound(subject="The device")
PATIENCE = 20


@dataclasses.dataclass
class Notebook:
    """Steps that write down what was done with them.

    :ivar done: in its order.
    """

    done: list[str] = dataclasses.field(default_factory=list)

    def step(self, name: str, **parts: Any) -> Step:
        """A step that does nothing else; ``kept`` is what it keeps."""
        if "kept" in parts:
            parts["keep"] = functools.partial(self._keep, name, parts.pop("kept"))
        return Step(name, parts.pop("do", functools.partial(self.done.append, name)), **parts)

    def _keep(self, name: str, kept: Any) -> Any:
        self.done.append(f"keep for {name}")
        return kept

    def undone(self, name: str, **parts: Any) -> Step:
        """One that can be taken back."""
        return self.step(name, undo=lambda kept: self.done.append(f"undo {name} {kept}"), **parts)

    def failing(self, error: BaseException = MISSING, **parts: Any) -> Step:
        def fail() -> None:
            self.done.append("fail")
            raise error

        return self.step("fail", do=fail, **parts)


@pytest.fixture(params=list(CodePath), ids=lambda path: path.value)
def path(request: pytest.FixtureRequest) -> CodePath:
    found: CodePath = request.param
    return found


@pytest.fixture
def book() -> Notebook:
    return Notebook()


@pytest.fixture
def told() -> list[StepDone]:
    """What the watcher has heard."""
    return []


@pytest.fixture
def operations(journal: Journal, path: CodePath, told: list[StepDone]) -> Iterator[OperationQueue]:
    made = OperationQueue(lambda: PATIENCE, journal, lambda: path, told.append)
    yield made
    made.drain()


@pytest.fixture
def do(operations: OperationQueue) -> Callable[..., OperationDetails]:
    """Does an operation that carries out plans, one after another, or raises with what it ended."""

    def do_plans(*plans: Plan) -> OperationDetails:
        def work() -> None:
            for plan in plans:
                operations.carry_out(plan)

        operation = Operation("work", "req-1", work, Request("", {}, {}))
        operations.enqueue(operation).result(PATIENCE)
        return operations.show(operation.id)

    return do_plans


Do = Callable[..., OperationDetails]


class TestSteps:
    def test_they_are_done_in_their_order(self, do: Do, book: Notebook) -> None:
        do(Plan("plan", [book.step(name) for name in "cab"]))
        assert book.done == ["c", "a", "b"]

    def test_whether_one_is_done_is_never_asked_of_a_fresh_operation(self, do: Do, book: Notebook) -> None:
        def is_done() -> bool:
            book.done.append("asked")
            return True

        do(Plan("plan", [book.step("a", done=is_done)]))
        assert book.done == ["a"]

    def test_what_stands_against_one_keeps_it_from_being_begun(self, do: Do, book: Notebook) -> None:
        def refuse() -> None:
            raise MISSING

        with pytest.raises(NotFound):
            do(Plan("plan", [book.undone("a"), book.undone("b", require=refuse, kept=1)]))
        assert book.done == ["a", "undo a None"]

    def test_the_journal_knows_how_they_ended(self, do: Do, book: Notebook, path: CodePath) -> None:
        steps = do(Plan("plan", [book.undone("a"), book.step("b")])).steps
        known = {"a": "done", "b": "done"} if path is CodePath.CONVERGENCE else {"a": "done"}
        assert {step.name: step.state for step in steps} == known
        assert all(step.ended is not None for step in steps)

    def test_the_watcher_is_told_of_each(self, do: Do, book: Notebook, told: list[StepDone]) -> None:
        do(Plan("plan", [book.step("a"), book.step("b")]))
        assert [(one.plan, one.step, one.number, one.steps) for one in told] == [
            ("plan", "a", 1, 2),
            ("plan", "b", 2, 2),
        ]

    def test_one_operation_has_as_many_plans_as_it_likes(self, do: Do, book: Notebook) -> None:
        do(*(Plan(f"plan {number}", [book.step("a"), book.step("b")]) for number in range(3)))
        assert book.done == ["a", "b"] * 3

    def test_what_is_being_done_can_be_seen(self, operations: OperationQueue, do: Do, book: Notebook) -> None:
        seen: list[tuple[str | None, float | None]] = []

        def look() -> None:
            current = operations.current
            assert current is not None
            shown = operations.show(current.id)
            assert (shown.phase, shown.percent) == (current.phase, current.percent)
            seen.append((shown.phase, shown.percent))

        do(Plan("plan", [book.step(name, do=look) for name in "abcd"]), Plan("short", [book.step("e", do=look)]))
        assert seen == [("a", 0), ("b", 25), ("c", 50), ("d", 75), ("e", None)]

    def test_a_journal_that_cannot_be_written_ends_the_plan_before_the_step(self, do: Do, book: Notebook) -> None:
        opened = contextlib.ExitStack()
        fill = book.undone("fill the disk", do=lambda: opened.enter_context(full_disk()))
        with pytest.raises(SystemFailure, match="Writing"), opened:
            do(Plan("plan", [fill, book.undone("never")]))
        assert book.done == ["undo fill the disk None"]


class TestTheWayBack:
    def test_the_first_that_fails_ends_the_plan_and_what_was_begun_is_undone_backwards(
        self, do: Do, book: Notebook
    ) -> None:
        failing = book.failing(undo=lambda kept: book.done.append(f"undo fail {kept}"), kept=3)
        with pytest.raises(NotFound, match="device"):
            do(
                Plan(
                    "plan", [book.undone("a", kept=1), book.step("b"), book.undone("c"), failing, book.undone("never")]
                )
            )
        assert book.done == [
            "keep for a",
            "a",
            "b",
            "c",
            "keep for fail",
            "fail",
            "undo fail 3",
            "undo c None",
            "undo a 1",
        ]

    @pytest.mark.parametrize("error", [MISSING, ValueError("oops"), KeyboardInterrupt()], ids=repr)
    def test_whatever_it_fails_with(self, do: Do, book: Notebook, error: BaseException) -> None:
        with pytest.raises(type(error)):
            do(Plan("plan", [book.undone("a"), book.failing(error)]))
        assert book.done == ["a", "fail", "undo a None"]

    def test_the_journal_knows_it(self, operations: OperationQueue, do: Do, book: Notebook, path: CodePath) -> None:
        with pytest.raises(NotFound):
            do(Plan("plan", [book.undone("a"), book.failing()]))
        [listed] = operations.list(1)
        assert (listed.state, listed.error) == ("failed", str(MISSING))
        steps = operations.show(listed.id).steps
        assert [(step.name, step.state, step.error) for step in steps] == [
            ("a", "undone", None),
            ("fail", "failed", str(MISSING)),
        ]

    @pytest.mark.parametrize(
        "error", [SystemFailure(subject="Undoing", problem="no"), OSError("disk"), KeyError("oops")], ids=repr
    )
    def test_an_undoing_that_fails_hides_no_error_and_stops_no_other(
        self, do: Do, book: Notebook, operations: OperationQueue, error: Exception, caplog: pytest.LogCaptureFixture
    ) -> None:
        def undo(kept: Any) -> None:
            raise error

        with pytest.raises(NotFound, match="device"):
            do(Plan("plan", [book.undone("a"), book.step("b", undo=undo), book.undone("c"), book.failing()]))
        assert book.done == ["a", "b", "c", "fail", "undo c None", "undo a None"]
        assert str(error) in caplog.text
        shown = operations.show(operations.list(1)[0].id)
        states = {step.name: step.state for step in shown.steps}
        assert (states["a"], states["c"], states["fail"]) == ("undone", "undone", "failed")
        assert states["b"] != "undone"

    def test_plans_that_were_done_stay(self, do: Do, book: Notebook) -> None:
        with pytest.raises(NotFound):
            do(Plan("first", [book.undone("a")]), Plan("second", [book.undone("b"), book.failing()]))
        assert book.done == ["a", "b", "fail", "undo b None"]

    def test_what_is_kept_is_read_once_and_before_the_step(self, do: Do, book: Notebook) -> None:
        state = ["old"]
        change = Step(
            "change",
            lambda: state.append("new"),
            keep=lambda: state[-1],
            undo=lambda kept: state.append(f"back to {kept}"),
        )
        with pytest.raises(NotFound):
            do(Plan("plan", [change, book.failing()]))
        assert state == ["old", "new", "back to old"]

    def test_a_step_whose_state_cannot_be_kept_is_not_begun(self, do: Do, book: Notebook) -> None:
        def keep() -> None:
            raise MISSING

        with pytest.raises(NotFound):
            do(Plan("plan", [book.undone("a"), Step("b", lambda: book.done.append("b"), keep=keep)]))
        assert book.done == ["a", "undo a None"]


class TestPlansInsideOfSteps:
    def test_each_is_done_where_it_is(self, do: Do, book: Notebook, operations: OperationQueue, path: CodePath) -> None:
        inner = Plan("plan", [book.undone("x"), book.undone("y")])
        shown = do(Plan("plan", [book.undone("a"), book.undone("b", do=lambda: operations.carry_out(inner))]))
        assert book.done == ["a", "x", "y"]
        assert [(step.plan, step.name) for step in shown.steps] == [
            ("plan", "a"),
            ("plan", "b"),
            ("plan / b / plan", "x"),
            ("plan / b / plan", "y"),
        ]

    def test_one_that_fails_is_undone_first(self, do: Do, book: Notebook, operations: OperationQueue) -> None:
        inner = Plan("inner", [book.undone("x"), book.failing()])
        with pytest.raises(NotFound):
            do(Plan("outer", [book.undone("a"), book.undone("b", do=lambda: operations.carry_out(inner))]))
        assert book.done == ["a", "x", "fail", "undo x None", "undo b None", "undo a None"]

    def test_after_it_the_outer_one_is_seen_again(self, do: Do, book: Notebook, operations: OperationQueue) -> None:
        seen: list[Any] = []

        def look() -> None:
            current = operations.current
            assert current is not None
            seen.append((current.phase, current.percent, current.cancellable))

        def nest() -> None:
            operations.carry_out(Plan("inner", [book.step("x", do=look)], cancellable=False))
            look()

        do(Plan("outer", [book.step("a", do=nest), book.step("b", do=look)], cancellable=True))
        assert seen == [("x", None, False), ("a", 0, True), ("b", 50, True)]


class TestCancelling:
    @staticmethod
    def cancel(operations: OperationQueue) -> OperationDetails:
        current = operations.current
        assert current is not None
        return operations.cancel(current.id)

    def test_it_ends_before_the_next_step_and_is_undone(
        self, operations: OperationQueue, do: Do, book: Notebook
    ) -> None:
        steps = [book.undone("a", do=lambda: self.cancel(operations)), book.undone("never")]
        with pytest.raises(Cancelled, match=r"'work' was cancelled in step 'a'\."):
            do(Plan("plan", steps, cancellable=True))
        assert book.done == ["undo a None"]
        assert operations.list(1)[0].state == "cancelled"

    def test_it_ends_in_the_middle_of_a_wait(self, operations: OperationQueue, do: Do, book: Notebook) -> None:
        waits = threading.Event()

        def wait() -> None:
            waits.set()
            waiting.pause(PATIENCE)

        plan = Plan("plan", [book.undone("a"), book.undone("b", do=wait), book.undone("never")], cancellable=True)
        operation = Operation("work", "req-1", lambda: operations.carry_out(plan), Request("", {}, {}))
        future = operations.enqueue(operation)
        assert waits.wait(PATIENCE)
        assert operations.show(operation.id).cancellable
        operations.cancel(operation.id)
        with pytest.raises(Cancelled, match="in step 'b'"):
            future.result(PATIENCE / 2)
        assert book.done == ["a", "undo b None", "undo a None"]

    def test_an_undoing_waits_to_its_end(self, operations: OperationQueue, do: Do, book: Notebook) -> None:
        def undo(kept: Any) -> None:
            waiting.pause(0.01)
            book.done.append("undone")

        plan = Plan(
            "plan",
            [Step("a", lambda: book.done.append(self.cancel(operations).state), undo=undo), book.step("never")],
            cancellable=True,
        )
        with pytest.raises(Cancelled):
            do(plan)
        assert book.done == ["running", "undone"]

    def test_a_plan_that_must_not_be_left_in_the_middle_is_not(
        self, operations: OperationQueue, do: Do, book: Notebook
    ) -> None:
        refused: list[str] = []

        def ask() -> None:
            with pytest.raises(NotCancellable) as error:
                self.cancel(operations)
            refused.append(str(error.value))
            waiting.check()

        do(Plan("plan", [book.undone("a", do=ask), book.undone("b")]))
        assert book.done == ["b"]
        assert "must not be left in the middle" in refused[0]
        assert operations.list(1)[0].state == "done"

    def test_nor_is_one_inside_of_a_step(self, operations: OperationQueue, do: Do, book: Notebook) -> None:
        def ask() -> None:
            with pytest.raises(NotCancellable):
                self.cancel(operations)

        inner = Plan("inner", [book.step("x", do=ask)])
        do(Plan("outer", [book.step("a", do=lambda: operations.carry_out(inner))], cancellable=True))

    def test_between_plans_there_is_nothing_to_cancel(self, operations: OperationQueue) -> None:
        def work() -> None:
            with pytest.raises(NotCancellable):
                self.cancel(operations)

        operations.enqueue(Operation("work", "req-1", work, Request("", {}, {}))).result(PATIENCE)


class TestTime:
    def test_a_step_that_waits_too_long_is_given_up(self, do: Do, book: Notebook) -> None:
        slow = book.undone("slow", do=lambda: waiting.pause(PATIENCE), timeout=0.05)
        with pytest.raises(TimedOut, match=r"'slow' did not end within 0\.05 s"):
            do(Plan("plan", [book.undone("a"), slow, book.undone("never")]))
        assert book.done == ["a", "undo slow None", "undo a None"]

    def test_each_has_its_own(self, do: Do, book: Notebook) -> None:
        steps = [book.step(name, do=lambda: waiting.pause(2), timeout=5) for name in "abc"]
        do(Plan("plan", steps))

    def test_the_nearest_end_counts_for_a_plan_inside(self, do: Do, book: Notebook, operations: OperationQueue) -> None:
        inner = Plan("inner", [book.step("x", do=lambda: waiting.pause(PATIENCE), timeout=PATIENCE)])
        with pytest.raises(TimedOut, match="'outer step'"):
            do(Plan("outer", [book.step("outer step", do=lambda: operations.carry_out(inner), timeout=0.05)]))

    def test_undoing_has_the_time_that_it_needs(self, do: Do, book: Notebook) -> None:
        def undo(kept: Any) -> None:
            waiting.pause(0.1)
            book.done.append("undone")

        with pytest.raises(TimedOut):
            do(Plan("plan", [Step("slow", lambda: waiting.pause(PATIENCE), undo=undo, timeout=0.05)]))
        assert book.done == ["undone"]


class TestLaterAgents:
    """What an operation is told that an earlier agent began."""

    @pytest.fixture
    def resume(self, journal: Journal, operations: OperationQueue, path: CodePath) -> Callable[..., None]:
        """Carries out a plan as the next agent, after one whose notes are given as steps and their states."""

        def carry_on(plan: Plan, notes: dict[str, str], error: str | None = None, kept: Any = None) -> None:
            operation = Operation("work", "req-1", lambda: operations.carry_out(plan), Request("", {}, {}), path=path)
            journal.accept(operation)
            for name, state in notes.items():
                journal.begin_step(operation, plan.name, name, kept)
                journal.end_step(operation, plan.name, name, state)
            if error:
                journal.fail_plan(operation, plan.name, error)
            operation.resumed = True
            ended: list[BaseException | None] = []
            operation.ended = lambda one: ended.append(one.error)
            operations.resume(operation)
            operations.drain()
            if ended[0] is not None:
                raise ended[0]

        return carry_on

    @pytest.fixture
    def path(self) -> CodePath:
        return CodePath.CONVERGENCE

    def test_what_is_recorded_done_is_not_done_again(self, resume: Callable[..., None], book: Notebook) -> None:
        resume(Plan("plan", [book.step("a"), book.step("b"), book.step("c")]), {"a": "done", "b": "running"})
        assert book.done == ["b", "c"]

    def test_the_watcher_hears_only_of_what_was_done_now(
        self, resume: Callable[..., None], book: Notebook, told: list[StepDone]
    ) -> None:
        resume(Plan("plan", [book.step("a"), book.step("b")]), {"a": "done"})
        assert [(one.step, one.number) for one in told] == [("b", 2)]

    @pytest.mark.parametrize(("is_done", "again"), [(True, []), (False, ["a"])])
    @pytest.mark.parametrize("state", ["running", "failed", "undone"])
    def test_where_nobody_noted_it_the_step_is_asked(
        self, resume: Callable[..., None], book: Notebook, state: str, is_done: bool, again: list[str]
    ) -> None:
        resume(Plan("plan", [book.step("a", done=lambda: is_done)]), {"a": state})
        assert book.done == again

    def test_one_that_nobody_began_is_done_whatever_is_there(self, resume: Callable[..., None], book: Notebook) -> None:
        """What looks like its own work is somebody else's."""
        resume(Plan("plan", [book.step("a"), book.step("b", done=lambda: True)]), {"a": "done"})
        assert book.done == ["b"]

    @pytest.mark.parametrize(("notes", "required"), [({}, ["look", "a"]), ({"a": "running"}, ["a"])])
    def test_what_stands_against_one_is_no_business_of_whoever_goes_on_with_it(
        self, resume: Callable[..., None], book: Notebook, notes: dict[str, str], required: list[str]
    ) -> None:
        resume(Plan("plan", [book.step("a", require=lambda: book.done.append("look"))]), notes)
        assert book.done == required

    @pytest.mark.parametrize(("is_done", "again"), [(True, []), (False, ["a"])])
    def test_what_a_reboot_takes_back_is_looked_at_again(
        self, resume: Callable[..., None], book: Notebook, is_done: bool, again: list[str]
    ) -> None:
        resume(Plan("plan", [book.step("a", done=lambda: is_done, volatile=True)]), {"a": "done"})
        assert book.done == again

    def test_what_was_kept_is_not_read_again(self, resume: Callable[..., None], book: Notebook) -> None:
        steps = [book.undone("a", kept="now"), book.undone("b", kept="now"), book.failing()]
        with pytest.raises(NotFound):
            resume(Plan("plan", steps), {"a": "done", "b": "running"}, kept="then")
        assert book.done == ["b", "fail", "undo b then", "undo a then"]

    def test_a_plan_that_had_failed_is_undone_and_not_tried_again(
        self, resume: Callable[..., None], book: Notebook
    ) -> None:
        steps = [book.undone("a"), book.undone("b"), book.undone("never")]
        with pytest.raises(GuestAgentError, match="no such luck"):
            resume(Plan("plan", steps), {"a": "done", "b": "failed"}, error="There was no such luck.", kept=1)
        assert book.done == ["undo b 1", "undo a 1"]

    def test_a_plan_that_is_not_to_be_continued_is_undone(self, resume: Callable[..., None], book: Notebook) -> None:
        plan = Plan("plan", [book.undone("a"), book.undone("b"), book.undone("never")], resumable=False)
        with pytest.raises(GuestAgentError, match="ended while it did 'work'"):
            resume(plan, {"a": "done", "b": "running"}, kept=1)
        assert book.done == ["undo b 1", "undo a 1"]

    def test_unless_it_had_not_begun(self, resume: Callable[..., None], book: Notebook) -> None:
        resume(Plan("plan", [book.step("a")], resumable=False), {})
        assert book.done == ["a"]
