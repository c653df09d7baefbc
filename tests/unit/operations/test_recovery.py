"""What an agent does about what earlier ones left: their operations, and a record that was lost."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guestagent.contract.errors import GuestAgentError, InvalidArguments, NotFound, SystemFailure
from guestagent.contract.operations import CodePath, OperationState
from guestagent.contract.states import Phase, Wanted
from guestagent.operations import recovery as module
from guestagent.operations import vault
from guestagent.operations.instance import Instance, InstanceRecord
from guestagent.operations.journal import Journal, Unfinished
from guestagent.operations.operation import Operation, Request
from guestagent.operations.plan import Plan, Step
from guestagent.operations.queue import OperationQueue
from guestagent.operations.recovery import MOST_ATTEMPTS, Recovery, adopt
from guestagent.operations.store import NAME, Store

INTERRUPTED = "what must not stay was taken back, ask again"


class Agent:
    """What takes up operations.

    :ivar done: those that were done now, in their order.
    :ivar told: what the conductor has heard: the operation's id, and the sentence of what went wrong.
    :ivar cannot: the error with which it meets what it does not know any more.
    """

    def __init__(self, store: Store, journal: Journal) -> None:
        self.record = InstanceRecord(store)
        self.journal = journal
        self.operations = OperationQueue(journal=journal)
        self.done: list[str] = []
        self.told: list[tuple[str, str | None]] = []
        self.cannot: GuestAgentError | None = None
        self.mute: GuestAgentError | None = None

    def take_up(self) -> None:
        """Take up what was left, and see it through."""
        Recovery(self.record, self.journal, self.operations, self.revive, self.tell).take_up()
        self.operations.drain()

    def revive(self, one: Unfinished) -> Operation:
        if self.cannot is not None:
            raise self.cannot
        return Operation(one.name, one.request_id, lambda: self.work(one), one.request, self.see_off)

    def work(self, one: Unfinished) -> None:
        step = Step("a", lambda: self.done.append(one.id), undo=lambda kept: self.done.append(f"undo {one.id} {kept}"))
        self.operations.carry_out(Plan("plan", [step]))

    def see_off(self, operation: Operation) -> None:
        self.told.append((operation.id, str(operation.error) if operation.error else None))
        self.journal.tell(operation.id, operation.error)

    def tell(self, one: Unfinished, error: GuestAgentError | None) -> None:
        if self.mute is not None:
            raise self.mute
        self.told.append((one.id, str(error) if error else None))
        self.journal.tell(one.id, error)


@pytest.fixture
def left(open_journal: Callable[[], Journal]) -> Callable[..., str]:
    """Leaves an operation as an agent does that dies; its id."""
    journal = open_journal()

    def leave(
        path: CodePath = CodePath.CONVERGENCE,
        name: str = "work",
        *,
        kept: Any = None,
        attempts: int = 0,
        **request: Any,
    ) -> str:
        operation = Operation(name, "req-1", lambda: None, Request("", {"x": 1}, {}, **request), path=path)
        journal.accept(operation)
        operation.begin()
        journal.begin(operation)
        if kept is not None:
            journal.begin_step(operation, "plan", "a", kept)
        for _ in range(attempts):
            journal.count_attempt(operation.id)
        return operation.id

    return leave


@pytest.fixture
def over(open_journal: Callable[[], Journal]) -> Callable[..., str]:
    """Leaves an operation that has ended, and nobody knows; its id."""
    journal = open_journal()

    def leave(error: GuestAgentError | None = None) -> str:
        operation = Operation("work", "req-1", lambda: None, Request("", {}, {}))
        journal.accept(operation)
        operation.state, operation.error = OperationState.FAILED if error else OperationState.DONE, error
        journal.end(operation)
        return operation.id

    return leave


@pytest.fixture
def agent(open_store: Callable[[], Store], open_journal: Callable[[], Journal]) -> Agent:
    """The next one."""
    return Agent(open_store(), open_journal())


Left = Callable[..., str]


class TestOperations:
    def test_a_machine_on_which_nothing_was_left_stays_as_it_is(self, agent: Agent) -> None:
        agent.take_up()
        assert (agent.done, agent.told) == ([], [])
        assert agent.record.current == Instance()

    def test_those_of_convergence_are_done_in_the_order_in_which_they_came(self, agent: Agent, left: Left) -> None:
        made = [left() for _ in range(5)]
        agent.take_up()
        assert agent.done == made
        assert agent.told == [(one, None) for one in made]
        assert [one.state for one in agent.journal.list(10)] == ["done"] * 5
        assert list(agent.journal.unfinished()) == []

    def test_one_of_legacy_that_did_nothing_has_failed(self, agent: Agent, left: Left) -> None:
        made = left(CodePath.LEGACY)
        agent.take_up()
        assert agent.done == []
        [(told, sentence)] = agent.told
        assert told == made
        assert INTERRUPTED in str(sentence)
        assert agent.journal.list(1)[0].state == "failed"

    def test_one_of_legacy_that_did_something_is_undone(self, agent: Agent, left: Left) -> None:
        made = left(CodePath.LEGACY, kept="before")
        agent.take_up()
        assert agent.done == [f"undo {made} before"]
        [(_, sentence)] = agent.told
        assert INTERRUPTED in str(sentence)
        assert agent.journal.list(1)[0].engine == "legacy"

    def test_one_that_would_end_well_has_failed_all_the_same(
        self, agent: Agent, left: Left, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        left(CodePath.LEGACY, kept="before")
        monkeypatch.setattr(agent, "work", lambda one: None)
        agent.take_up()
        [(_, sentence)] = agent.told
        assert INTERRUPTED in str(sentence)

    def test_each_keeps_its_code_path_and_its_place(self, agent: Agent, left: Left, over: Callable[..., str]) -> None:
        first, second, third = left(CodePath.CONVERGENCE), left(CodePath.LEGACY, kept=1), left(CodePath.CONVERGENCE)
        agent.take_up()
        assert agent.done == [first, f"undo {second} 1", third]
        assert [one.engine for one in agent.journal.list(10)] == ["convergence", "legacy", "convergence"]

    def test_the_end_of_one_that_had_ended_is_told_and_nothing_is_done(
        self, agent: Agent, over: Callable[..., str]
    ) -> None:
        good, bad = over(), over(NotFound(subject="User 'bob'"))
        agent.take_up()
        assert agent.done == []
        assert agent.told == [(good, None), (bad, "User 'bob' does not exist on this guest.")]
        assert [one.state for one in agent.journal.list(10)] == ["failed", "done"]
        assert list(agent.journal.unfinished()) == []

    def test_what_a_later_agent_does_not_know_any_more_has_failed(self, agent: Agent, left: Left) -> None:
        made = left(kept=1)
        agent.cannot = InvalidArguments(operation="work", problem="x is unknown")
        agent.take_up()
        assert agent.done == []
        assert agent.told == [(made, "The arguments of 'work' are not valid: x is unknown.")]
        assert agent.journal.list(1)[0].state == "failed"

    @pytest.mark.parametrize("path", list(CodePath), ids=lambda path: path.value)
    def test_without_the_key_nothing_is_done_and_it_has_failed(
        self, agent: Agent, left: Left, tmp_path: Path, path: CodePath
    ) -> None:
        made = left(path, kept="before")
        (tmp_path / vault.NAME).unlink()
        agent.take_up()
        assert agent.done == []
        [(told, sentence)] = agent.told
        assert told == made
        assert "the journal's key is another one" in str(sentence)

    def test_a_conductor_that_cannot_be_told_is_in_nobodys_way(
        self, agent: Agent, left: Left, over: Callable[..., str], caplog: pytest.LogCaptureFixture
    ) -> None:
        over()
        left(CodePath.LEGACY)
        good = left()
        agent.mute = NotFound(subject="The call 'work'")
        agent.take_up()
        assert agent.done == [good]
        assert agent.told == [(good, None)]
        assert agent.operations.current is None
        assert caplog.text.count("Nobody hears how 'work' (request req-1) ended") == 2

    def test_one_of_which_agents_die_is_given_up_in_the_end(self, agent: Agent, left: Left) -> None:
        made = left(kept=1, attempts=MOST_ATTEMPTS)
        agent.take_up()
        assert agent.done == [f"undo {made} 1"]
        [(_, sentence)] = agent.told
        assert INTERRUPTED in str(sentence)

    def test_and_not_before(self, agent: Agent, left: Left) -> None:
        made = left(kept=1, attempts=MOST_ATTEMPTS - 1)
        agent.take_up()
        assert agent.done == [made]

    def test_whoever_takes_one_up_is_counted_before_it_begins(
        self, agent: Agent, left: Left, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        left()
        seen: list[int] = []
        monkeypatch.setattr(agent, "work", lambda one: seen.extend(one.attempts for one in agent.journal.unfinished()))
        agent.take_up()
        assert seen == [1]


class TestAnInstanceThatWasBeingPrepared:
    @pytest.fixture
    def agent(self, agent: Agent) -> Agent:
        agent.record.change(phase=Phase.PREPARING, wanted=Wanted.RUNNING)
        return agent

    @staticmethod
    def has_failed(agent: Agent) -> bool:
        current = agent.record.current
        return (current.phase, current.wanted) == (Phase.FAILED, Wanted.STOPPED)

    def test_without_an_operation_it_has_failed(self, agent: Agent, left: Left, over: Callable[..., str]) -> None:
        over()
        left(name="restart")
        agent.take_up()
        assert self.has_failed(agent)

    @pytest.mark.parametrize("name", ["prepare", "rebuild"])
    def test_it_goes_on_with_the_operation(self, agent: Agent, left: Left, name: str) -> None:
        left(name=name)
        agent.take_up()
        assert agent.record.current.phase is Phase.PREPARING

    @pytest.mark.parametrize("kept", [None, "before"])
    def test_it_has_failed_with_an_operation_of_legacy(self, agent: Agent, left: Left, kept: str | None) -> None:
        left(CodePath.LEGACY, "prepare", kept=kept)
        agent.take_up()
        assert self.has_failed(agent)

    def test_or_one_that_is_given_up(self, agent: Agent, left: Left) -> None:
        left(name="prepare", attempts=MOST_ATTEMPTS)
        agent.take_up()
        assert self.has_failed(agent)

    def test_or_one_that_cannot_be_read(self, agent: Agent, left: Left, tmp_path: Path) -> None:
        left(name="prepare")
        (tmp_path / vault.NAME).unlink()
        agent.take_up()
        assert self.has_failed(agent)

    def test_or_one_that_this_agent_does_not_know(self, agent: Agent, left: Left) -> None:
        left(name="prepare")
        agent.cannot = InvalidArguments(operation="prepare", problem="x is unknown")
        agent.take_up()
        assert self.has_failed(agent)

    def test_has_failed_when_its_preparation_was_accepted_and_no_more(self, agent: Agent, left: Left) -> None:
        agent.record.change(phase=Phase.NEW)
        left(CodePath.LEGACY, "prepare")
        agent.take_up()
        assert self.has_failed(agent)

    def test_stays_new_when_nobody_has_asked_for_it(self, agent: Agent, left: Left) -> None:
        agent.record.change(phase=Phase.NEW)
        left(CodePath.LEGACY, "mount_volume")
        agent.take_up()
        assert agent.record.current.phase is Phase.NEW

    @pytest.mark.parametrize("phase", [Phase.READY, Phase.FAILED])
    def test_in_any_other_phase_it_stays_in_it(self, agent: Agent, left: Left, phase: Phase) -> None:
        agent.record.change(phase=phase)
        left(CodePath.LEGACY, "prepare")
        agent.take_up()
        assert agent.record.current.phase is phase


class TestALostRecord:
    @pytest.fixture
    def asked(self) -> list[str]:
        return []

    @pytest.fixture
    def start(self, open_store: Callable[[], Store], asked: list[str]) -> Callable[..., Instance]:
        """An agent starts on a machine that shows something, or with an error when it is looked at."""

        def start_one(shown: dict[str, Any] | Exception | None) -> Instance:
            def recognise() -> dict[str, Any] | None:
                asked.append("machine")
                if isinstance(shown, Exception):
                    raise shown
                return shown

            store = open_store()
            record = InstanceRecord(store)
            adopt(store, record, recognise)
            store.close()
            return record.current

        return start_one

    def test_a_new_machine_waits_for_prepare_quietly(
        self, start: Callable[..., Instance], caplog: pytest.LogCaptureFixture
    ) -> None:
        assert start(None) == Instance()
        assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []

    def test_an_instance_that_the_machine_shows_is_taken_for_a_prepared_one(
        self, start: Callable[..., Instance], caplog: pytest.LogCaptureFixture
    ) -> None:
        expected = Instance(
            phase=Phase.READY, wanted=Wanted.RUNNING, code_path=CodePath.LEGACY, read_only=True, tls_mode="basic"
        )
        assert start({"read_only": True, "tls_mode": "basic"}) == expected
        assert "no record of" in caplog.text
        assert start(AssertionError("who has a record does not ask")) == expected

    def test_a_damaged_file_is_no_reason_to_lose_it(
        self, start: Callable[..., Instance], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        start({})
        (tmp_path / NAME).write_bytes(b"damaged" * 1000)
        assert start({}).phase is Phase.READY

        (tmp_path / NAME).write_bytes(b"damaged" * 1000)
        caplog.clear()
        assert start(None) == Instance()
        assert "waits for prepare or rebuild" in caplog.text

    @pytest.mark.parametrize("problem", [SystemFailure(subject="Mounting", problem="no"), OSError("no disk")], ids=repr)
    def test_a_machine_that_cannot_be_looked_at_is_looked_at_by_the_next_agent(
        self, start: Callable[..., Instance], problem: Exception, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert start(problem) == Instance()
        assert str(problem) in caplog.text
        assert start({}).phase is Phase.READY

    def test_so_is_one_whose_agent_died_before_it_looked(
        self, start: Callable[..., Instance], open_store: Callable[[], Store]
    ) -> None:
        open_store().close()
        assert start({}).phase is Phase.READY

    @pytest.mark.parametrize("phase", [Phase.PREPARING, Phase.READY, Phase.FAILED])
    def test_who_has_a_record_does_not_ask(
        self, start: Callable[..., Instance], open_store: Callable[[], Store], asked: list[str], phase: Phase
    ) -> None:
        InstanceRecord(open_store()).change(phase=phase)
        assert start({"read_only": True}) == Instance(phase=phase)
        assert asked == []


def test_the_calls_that_bring_an_instance_up_are_in_the_contract() -> None:
    from guestagent import contract

    assert set(module.BRINGS_UP) <= {call.name for call in contract.CALLS}
