"""One operation at a time, in order; what waits too long is never started."""

import contextlib
import functools
import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from guestagent.contract.errors import Busy, Cancelled, Leaving, NotCancellable, NotFound, SystemFailure
from guestagent.contract.operations import CodePath, OperationState
from guestagent.operations.journal import Duplicate, Journal
from guestagent.operations.operation import Operation, Request
from guestagent.operations.queue import OperationQueue
from tests.unit.storage.full_disk import full_disk

PATIENCE = 10


class Gate:
    """Work that has begun and ends when the test says so."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.open = threading.Event()

    def work(self) -> str:
        self.begun.set()
        assert self.open.wait(PATIENCE), "the test never opened the gate"
        return "through"


def operation(work: Callable[[], Any], name: str = "work", request_id: str = "req-1") -> Operation:
    return Operation(name, request_id, work)


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open.set()


@pytest.fixture
def busy_wait() -> list[float]:
    """The seconds that a caller waits for its turn, as an option that can change."""
    return [PATIENCE]


@pytest.fixture
def operations(busy_wait: list[float], gate: Gate) -> Iterator[OperationQueue]:
    made = OperationQueue(lambda: busy_wait[0])
    yield made
    gate.open.set()
    made.drain()


def test_a_caller_gets_what_the_work_returned(operations: OperationQueue) -> None:
    assert operations.run(operation(lambda: 42)) == 42


def test_a_caller_gets_what_the_work_raised(operations: OperationQueue) -> None:
    def fail() -> None:
        raise NotFound(subject="It")

    with pytest.raises(NotFound):
        operations.run(operation(fail))
    assert operations.run(operation(lambda: "still working")) == "still working"


def test_operations_run_one_at_a_time_in_the_order_in_which_they_came(operations: OperationQueue, gate: Gate) -> None:
    done: list[int] = []
    threads: set[int] = set()

    def note(number: int) -> None:
        done.append(number)
        threads.add(threading.get_ident())

    operations.enqueue(operation(gate.work))
    futures = [operations.enqueue(operation(functools.partial(note, number))) for number in range(50)]
    assert gate.begun.wait(PATIENCE)
    assert done == []
    gate.open.set()
    for future in futures:
        future.result(PATIENCE)
    assert done == list(range(50))
    assert len(threads) == 1


def test_a_failure_does_not_stop_what_comes_after(operations: OperationQueue) -> None:
    def fail() -> None:
        raise OSError("disk")

    first = operations.enqueue(operation(fail))
    assert operations.run(operation(lambda: "next")) == "next"
    assert isinstance(first.exception(PATIENCE), OSError)


def test_what_is_running_can_be_seen(operations: OperationQueue, gate: Gate) -> None:
    assert operations.current is None
    future = operations.enqueue(operation(gate.work, "create_backup", "req-7"))
    assert gate.begun.wait(PATIENCE)
    running = operations.current
    assert running is not None
    assert (running.name, running.request_id) == ("create_backup", "req-7")
    gate.open.set()
    future.result(PATIENCE)
    assert operations.current is None


def test_a_caller_whose_turn_does_not_come_hears_who_has_the_guest(
    operations: OperationQueue, gate: Gate, busy_wait: list[float]
) -> None:
    started: list[str] = []
    operations.enqueue(operation(gate.work, "create_backup", "req-7"))
    assert gate.begun.wait(PATIENCE)
    busy_wait[0] = 0.05
    with pytest.raises(Busy) as refused:
        operations.run(operation(lambda: started.append("restart"), "restart", "req-8"))
    assert "'create_backup' (request req-7" in str(refused.value)
    assert "'restart' was not started" in str(refused.value)
    gate.open.set()
    busy_wait[0] = PATIENCE
    operations.run(operation(lambda: None))
    assert started == [], "what was refused as busy must never run"


def test_a_caller_waits_for_its_turn_and_not_only_for_an_idle_guest(operations: OperationQueue, gate: Gate) -> None:
    operations.enqueue(operation(gate.work))
    assert gate.begun.wait(PATIENCE)
    with ThreadPoolExecutor(1) as callers:
        waiting = callers.submit(operations.run, operation(lambda: "my turn"))
        gate.open.set()
        assert waiting.result(PATIENCE) == "my turn"


def test_work_that_has_begun_is_never_called_busy(busy_wait: list[float], operations: OperationQueue) -> None:
    never = threading.Event()
    busy_wait[0] = 2
    assert operations.run(operation(lambda: never.wait(2.5))) is False


def test_busy_and_done_are_the_only_ends_however_close_they_come(
    operations: OperationQueue, busy_wait: list[float]
) -> None:
    # Callers whose patience ends about when their turn comes: each is either refused and not done, or done once.
    busy_wait[0] = 0.002
    pause = threading.Event()
    done: list[int] = []

    def work(number: int) -> int:
        pause.wait(0.002)
        done.append(number)
        return number

    def ask(number: int) -> int | None:
        try:
            return operations.run(operation(lambda: work(number)))  # type: ignore[no-any-return]
        except Busy:
            return None

    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(ask, range(400)))
    operations.drain()
    answered = [number for number in answers if number is not None]
    assert sorted(done) == sorted(answered)
    assert answered, "some must have had their turn"
    assert len(answered) < len(answers), "some must have been refused"


def test_draining_does_everything_that_was_accepted_and_takes_nothing_new(
    operations: OperationQueue, gate: Gate
) -> None:
    done: list[int] = []
    operations.enqueue(operation(gate.work))
    for number in range(5):
        operations.enqueue(operation(functools.partial(done.append, number)))
    with ThreadPoolExecutor(1) as helpers:
        draining = helpers.submit(operations.drain)
        assert gate.begun.wait(PATIENCE)
        # The door closes at some moment after the drain began; from then on it stays closed.
        accepted = itertools.count()

        def knock() -> None:
            for _ in accepted:
                operations.enqueue(operation(lambda: done.append(-1), "late"))

        with pytest.raises(Leaving, match="'late' was not started"):
            knock()
        gate.open.set()
        draining.result(PATIENCE)
    assert done == [*range(5), *[-1] * (next(accepted) - 1)]
    with pytest.raises(Leaving):
        operations.run(operation(lambda: None))


def test_a_caller_that_waits_while_the_agent_leaves_still_gets_its_answer(
    operations: OperationQueue, gate: Gate
) -> None:
    operations.enqueue(operation(gate.work))
    assert gate.begun.wait(PATIENCE)
    with ThreadPoolExecutor(2) as helpers:
        accepted = threading.Event()

        def ask() -> Any:
            future = operations.enqueue(operation(lambda: "answer"))
            accepted.set()
            return future.result(PATIENCE)

        waiting = helpers.submit(ask)
        assert accepted.wait(PATIENCE)
        draining = helpers.submit(operations.drain)
        gate.open.set()
        assert waiting.result(PATIENCE) == "answer"
        draining.result(PATIENCE)


def test_draining_twice_and_draining_an_idle_queue_return_at_once(operations: OperationQueue) -> None:
    operations.drain()
    operations.drain()


class TestInTheJournal:
    @pytest.fixture
    def path(self) -> list[CodePath]:
        """The instance's code path, which can change."""
        return [CodePath.LEGACY]

    @pytest.fixture
    def operations(
        self, busy_wait: list[float], gate: Gate, journal: Journal, path: list[CodePath]
    ) -> Iterator[OperationQueue]:
        made = OperationQueue(lambda: busy_wait[0], journal, lambda: path[0])
        yield made
        gate.open.set()
        made.drain()

    @staticmethod
    def asked(work: Callable[[], Any], **request: Any) -> Operation:
        """What somebody asked for, and may ask for again."""
        return Operation("work", "req-1", work, Request("", {}, {}, **request))

    def test_what_is_accepted_is_in_it(self, operations: OperationQueue, journal: Journal, gate: Gate) -> None:
        operations.enqueue(self.asked(gate.work))
        waiting = self.asked(lambda: None)
        operations.enqueue(waiting)
        assert journal.list(1)[0].id == waiting.id
        assert gate.begun.wait(PATIENCE)
        assert [one.state for one in operations.list(5)] == ["queued", "running"]

    def test_what_a_caller_waits_for_is_in_it_when_it_runs(self, operations: OperationQueue, journal: Journal) -> None:
        assert operations.run(self.asked(lambda: [one.state for one in journal.list(5)], awaited=True)) == ["running"]
        assert [one.state for one in journal.list(5)] == ["done"]

    def test_what_a_caller_did_not_wait_for_is_not(
        self, operations: OperationQueue, journal: Journal, gate: Gate, busy_wait: list[float]
    ) -> None:
        operations.enqueue(self.asked(gate.work))
        assert gate.begun.wait(PATIENCE)
        busy_wait[0] = 0.01
        with pytest.raises(Busy):
            operations.run(self.asked(lambda: None, awaited=True))
        assert len(journal.list(5)) == 1

    def test_its_work_can_look_at_it_however_early(
        self, operations: OperationQueue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looked, submit = threading.Event(), operations._executor.submit

        def submit_slowly(*work: Any) -> Future[Any]:
            future = submit(*work)
            looked.wait(0.3)
            return future

        def look() -> str | None:
            assert operations.current is not None
            operations.current.phase = "looking"
            shown = operations.show(operations.current.id).phase
            looked.set()
            return shown

        monkeypatch.setattr(operations._executor, "submit", submit_slowly)
        assert operations.enqueue(self.asked(look)).result(PATIENCE) == "looking"

    def test_what_comes_twice_is_done_once(self, operations: OperationQueue) -> None:
        done: list[str] = []
        operations.enqueue(self.asked(lambda: done.append("once"), message_id="m")).result(PATIENCE)
        with pytest.raises(Duplicate):
            operations.enqueue(self.asked(lambda: done.append("twice"), message_id="m"))
        with pytest.raises(Duplicate):
            operations.run(self.asked(lambda: done.append("twice"), message_id="m", awaited=True))
        assert done == ["once"]
        assert [one.state for one in operations.list(5)] == ["done"]

    def test_what_cannot_be_written_down_is_not_done(self, operations: OperationQueue) -> None:
        done: list[int] = []
        with full_disk(), pytest.raises(SystemFailure):
            operations.enqueue(self.asked(lambda: done.append(1)))
        with full_disk(), pytest.raises(SystemFailure):
            operations.run(self.asked(lambda: done.append(2), awaited=True))
        operations.run(self.asked(lambda: done.append(3), awaited=True))
        assert done == [3]

    def test_an_end_that_cannot_be_written_down_is_told_all_the_same(
        self, operations: OperationQueue, caplog: pytest.LogCaptureFixture
    ) -> None:
        told: list[OperationState] = []
        disk = full_disk()
        one = self.asked(disk.__enter__)

        def tell(operation: Operation) -> None:
            disk.__exit__(None, None, None)
            told.append(operation.state)

        one.ended = tell
        operations.enqueue(one).result(PATIENCE)
        assert told == [OperationState.DONE]
        assert "does not know how 'work' (request req-1) ended" in caplog.text

    def test_an_end_that_could_not_be_written_down_is_shown_and_written_down_later(
        self, operations: OperationQueue, journal: Journal
    ) -> None:
        with contextlib.ExitStack() as disk:

            def fail() -> None:
                disk.enter_context(full_disk())
                raise NotFound(subject="It")

            with pytest.raises(NotFound):
                operations.run(self.asked(fail, awaited=True))
            [shown], [known] = operations.list(5), journal.list(5)
            assert (shown.state, shown.error, known.state) == ("failed", str(NotFound(subject="It")), "running")
            assert operations.show(shown.id).ended == shown.ended
            operations.note_ends()
            assert [one.state for one in journal.list(5)] == ["running"]
        operations.note_ends()
        [known] = journal.list(5)
        assert (known.state, known.error, known.ended) == (shown.state, shown.error, shown.ended)

    def test_it_is_written_down_before_the_next_one_begins(self, operations: OperationQueue, journal: Journal) -> None:
        with contextlib.ExitStack() as disk:
            operations.run(self.asked(lambda: disk.enter_context(full_disk()), awaited=True))
        assert operations.run(operation(lambda: [one.state for one in journal.list(5)])) == ["done"]

    def test_it_is_written_down_before_the_agent_leaves(self, operations: OperationQueue, journal: Journal) -> None:
        with contextlib.ExitStack() as disk:
            operations.run(self.asked(lambda: disk.enter_context(full_disk()), awaited=True))
        operations.drain()
        assert [one.state for one in journal.list(5)] == ["done"]

    def test_who_has_been_told_meanwhile_is_not_told_again(self, operations: OperationQueue, journal: Journal) -> None:
        one = self.asked(lambda: None)
        with contextlib.ExitStack() as disk:
            one.work = lambda: disk.enter_context(full_disk())
            operations.enqueue(one).result(PATIENCE)
        journal.tell(one.id, None)
        operations.note_ends()
        assert list(journal.unfinished()) == []

    def test_its_end_is_on_disk_before_anybody_hears_of_it(self, operations: OperationQueue, journal: Journal) -> None:
        seen: list[str] = []
        one = self.asked(lambda: None)
        one.ended = lambda operation: seen.extend(known.state for known in journal.list(5))
        operations.enqueue(one).result(PATIENCE)
        assert seen == ["done"]

    def test_a_mistake_is_in_it_without_its_text(self, operations: OperationQueue) -> None:
        def fail() -> None:
            raise ValueError("s3cr3t")

        with pytest.raises(ValueError, match="s3cr3t"):
            operations.run(self.asked(fail, awaited=True))
        [known] = operations.list(5)
        assert known.error is not None
        assert "'work' failed unexpectedly (ValueError)" in known.error
        assert "s3cr3t" not in known.error

    def test_the_code_path_is_that_of_the_moment_when_its_turn_comes(
        self, operations: OperationQueue, gate: Gate, path: list[CodePath]
    ) -> None:
        operations.enqueue(self.asked(gate.work))
        assert gate.begun.wait(PATIENCE)
        future = operations.enqueue(self.asked(lambda: None))
        path[0] = CodePath.CONVERGENCE
        gate.open.set()
        future.result(PATIENCE)
        assert [one.engine for one in operations.list(5)] == ["convergence", "legacy"]

    def test_but_of_one_that_an_earlier_agent_began_its_own(
        self, operations: OperationQueue, journal: Journal, path: list[CodePath]
    ) -> None:
        one = self.asked(lambda: None)
        journal.accept(one)
        one.resumed = True
        path[0] = CodePath.CONVERGENCE
        operations.resume(one)
        operations.drain()
        assert [known.engine for known in journal.list(5)] == ["legacy"]

    def test_what_waits_can_be_cancelled_and_never_begins(self, operations: OperationQueue, gate: Gate) -> None:
        done: list[int] = []
        told: list[str] = []
        operations.enqueue(self.asked(gate.work))
        one = self.asked(lambda: done.append(1))
        one.ended = lambda operation: told.append(str(operation.error))
        operations.enqueue(one)
        assert operations.show(one.id).cancellable

        shown = operations.cancel(one.id)
        assert (shown.state, shown.cancellable) == ("cancelled", False)
        assert told == ["'work' was cancelled before it began."]
        assert isinstance(one.error, Cancelled)
        gate.open.set()
        operations.run(self.asked(lambda: None, awaited=True))
        assert done == []

    def test_what_has_ended_cannot_be_cancelled(self, operations: OperationQueue) -> None:
        one = self.asked(lambda: None)
        operations.enqueue(one).result(PATIENCE)
        with pytest.raises(NotCancellable, match=rf"{one.id} \('work'\) cannot be cancelled: it has ended"):
            operations.cancel(one.id)

    def test_what_runs_without_a_plan_cannot_be_cancelled(self, operations: OperationQueue, gate: Gate) -> None:
        one = self.asked(gate.work)
        future = operations.enqueue(one)
        assert gate.begun.wait(PATIENCE)
        with pytest.raises(NotCancellable, match="must not be left in the middle"):
            operations.cancel(one.id)
        gate.open.set()
        assert future.result(PATIENCE) == "through"

    @pytest.mark.parametrize("name", ["nosuch", "", "x" * 100_000])
    def test_what_is_not_there_is_said(self, operations: OperationQueue, name: str) -> None:
        for ask in (operations.show, operations.cancel):
            with pytest.raises(NotFound) as refused:
                ask(name)
            assert len(str(refused.value)) < 200

    def test_draining_does_what_was_taken_up_from_an_earlier_agent(
        self, operations: OperationQueue, journal: Journal
    ) -> None:
        done: list[int] = []
        for number in range(5):
            one = self.asked(functools.partial(done.append, number))
            journal.accept(one)
            operations.resume(one)
        operations.drain()
        assert done == [0, 1, 2, 3, 4]
