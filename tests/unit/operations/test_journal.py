"""The journal: what is written down of operations and their steps, what is found again, and what is forgotten."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guestagent.contract.errors import Cancelled, GuestAgentError, NotFound, SystemFailure
from guestagent.contract.operations import CodePath, OperationState
from guestagent.operations import vault
from guestagent.operations.journal import DONE, RUNNING, UNDONE, Duplicate, Journal, NoJournal, PlanRecord
from guestagent.operations.operation import Operation, Request
from guestagent.operations.store import Store
from guestagent.operations.vault import Vault
from tests.unit.storage.full_disk import full_disk

SECRET = "correct horse battery staple"
ARGUMENTS = {"users": [{"_name": "bob", "_password": SECRET}]}
CONTEXT = {"request_id": "req-7", "auth_token": f"token of {SECRET}"}
_messages = itertools.count(1)


def request(**values: Any) -> Request:
    made: dict[str, Any] = {"namespace": "", "arguments": ARGUMENTS, "context": CONTEXT}
    return Request(**{**made, "message_id": f"message {next(_messages)}", **values})


def operation(name: str = "create_user", **values: Any) -> Operation:
    """What somebody asked for; values are those of its request."""
    return Operation(name, "req-7", lambda: None, request(**values))


def ended(journal: Journal, one: Operation, error: GuestAgentError | None = None) -> Operation:
    """Let an operation come to its end."""
    one.error = error
    one.state = OperationState.DONE if error is None else OperationState.FAILED
    journal.end(one)
    return one


def accepted(journal: Journal, **values: Any) -> Operation:
    made = operation(**values)
    journal.accept(made)
    return made


def found_later(one: Operation) -> Operation:
    """The same operation as a later agent has it."""
    later = Operation(one.name, one.request_id, lambda: None, one.request, id=one.id, path=one.path)
    later.resumed = True
    return later


def ids(journal: Journal) -> list[str]:
    return [details.id for details in journal.list(1000)]


class TestAnOperation:
    def test_it_is_written_down_when_it_is_accepted(self, open_journal: Callable[[], Journal]) -> None:
        made = operation()
        made.path = CodePath.CONVERGENCE
        open_journal().accept(made)

        [details] = open_journal().list(10)
        assert (details.id, details.call, details.request_id) == (made.id, "create_user", "req-7")
        assert (details.engine, details.state) == ("convergence", "queued")
        assert details.accepted == made.accepted_at
        assert details.started is None
        assert details.ended is None
        assert details.cancellable

    def test_and_when_its_turn_has_come(self, journal: Journal) -> None:
        made = accepted(journal)
        made.begin()
        made.path = CodePath.CONVERGENCE
        journal.begin(made)

        [details] = journal.list(10)
        assert (details.state, details.engine) == ("running", "convergence")
        assert details.started is not None
        assert not details.cancellable

    def test_its_first_start_is_remembered(self, journal: Journal) -> None:
        made = accepted(journal)
        made.begin()
        journal.begin(made)
        [before] = journal.list(1)
        journal.begin(made)
        [after] = journal.list(1)
        assert before.started == after.started
        assert after.updated >= before.updated

    def test_one_that_nobody_accepted_is_accepted_when_it_begins(self, journal: Journal) -> None:
        made = operation(awaited=True)
        made.begin()
        journal.begin(made)
        [details] = journal.list(10)
        assert (details.id, details.state) == (made.id, "running")
        assert details.started is not None

    def test_its_good_end(self, journal: Journal) -> None:
        ended(journal, accepted(journal))
        [details] = journal.list(10)
        assert (details.state, details.error, details.percent) == ("done", None, 100)
        assert details.ended is not None

    def test_its_bad_end(self, journal: Journal) -> None:
        ended(journal, accepted(journal), NotFound(subject="User 'bob'"))
        [details] = journal.list(10)
        assert (details.state, details.error) == ("failed", "User 'bob' does not exist on this guest.")

    def test_one_without_a_request_leaves_no_trace(self, journal: Journal, store: Store) -> None:
        made = Operation("ensure_running", "-", lambda: None)
        journal.accept(made)
        journal.begin(made)
        journal.begin_step(made, "p", "s", {"x": 1})
        journal.end_step(made, "p", "s", DONE)
        journal.fail_plan(made, "p", "it failed")
        journal.end(made)
        assert journal.list(10) == []
        assert journal.plan(found_later(made), "p") == PlanRecord()

    def test_what_cannot_be_written_is_not_accepted(self, journal: Journal) -> None:
        with full_disk(), pytest.raises(SystemFailure):
            journal.accept(operation())
        assert journal.list(10) == []


class TestDuplicates:
    def test_a_message_that_comes_again_is_known(self, open_journal: Callable[[], Journal]) -> None:
        first = accepted(open_journal(), message_id="m")
        with pytest.raises(Duplicate, match=f"is operation {first.id} already"):
            accepted(open_journal(), message_id="m")
        assert ids(open_journal()) == [first.id]

    @pytest.mark.parametrize("error", [None, NotFound(subject="It")])
    def test_whatever_became_of_it(self, journal: Journal, error: GuestAgentError | None) -> None:
        journal.tell(ended(journal, accepted(journal, message_id="m"), error).id, error)
        with pytest.raises(Duplicate):
            accepted(journal, message_id="m")

    def test_messages_without_an_id_are_all_different(self, journal: Journal) -> None:
        for _ in range(3):
            accepted(journal, message_id=None)
        assert len(ids(journal)) == 3

    def test_a_subject_is_done_once(self, journal: Journal) -> None:
        first = accepted(journal, subject="backup 1")
        with pytest.raises(Duplicate, match=first.id):
            accepted(journal, subject="backup 1")
        ended(journal, first)
        with pytest.raises(Duplicate, match=first.id):
            accepted(journal, subject="backup 1")
        accepted(journal, subject="backup 2")

    def test_one_that_failed_may_be_asked_for_again(self, journal: Journal) -> None:
        ended(journal, accepted(journal, subject="backup 1"), NotFound(subject="It"))
        second = accepted(journal, subject="backup 1")
        with pytest.raises(Duplicate, match=second.id):
            accepted(journal, subject="backup 1")

    def test_a_subject_is_one_of_its_call(self, journal: Journal) -> None:
        accepted(journal, name="create_backup", subject="1")
        accepted(journal, name="delete_backup", subject="1")
        assert len(ids(journal)) == 2

    def test_a_duplicate_is_nothing_of_the_journals(self, journal: Journal, store: Store) -> None:
        accepted(journal, message_id="m")
        before = [tuple(row) for row in store.fetch("SELECT * FROM operations")]
        with pytest.raises(Duplicate):
            accepted(journal, message_id="m")
        assert [tuple(row) for row in store.fetch("SELECT * FROM operations")] == before


class TestSteps:
    def test_what_is_known_of_them_is_found_later(self, open_journal: Callable[[], Journal]) -> None:
        journal = open_journal()
        made = accepted(journal)
        journal.begin_step(made, "p", "a", {"before": SECRET})
        journal.end_step(made, "p", "a", DONE)
        journal.begin_step(made, "p", "b")
        journal.begin_step(made, "another", "a", [1])

        found = open_journal().plan(found_later(made), "p")
        assert {name: (step.state, step.kept) for name, step in found.steps.items()} == {
            "a": (DONE, {"before": SECRET}),
            "b": (RUNNING, None),
        }
        assert found.error is None

    def test_an_operation_that_begins_now_is_told_nothing_of_earlier(self, journal: Journal) -> None:
        made = accepted(journal)
        journal.begin_step(made, "p", "a", 1)
        assert journal.plan(made, "p") == PlanRecord()

    def test_what_was_kept_first_stays(self, journal: Journal) -> None:
        made = accepted(journal)
        journal.begin_step(made, "p", "a", "as it was")
        journal.end_step(made, "p", "a", DONE)
        journal.begin_step(made, "p", "a", "as it is now")
        step = journal.plan(found_later(made), "p").steps["a"]
        assert (step.state, step.kept) == (RUNNING, "as it was")

    def test_a_plan_that_failed_is_known_by_its_sentence(self, journal: Journal) -> None:
        made = accepted(journal)
        journal.fail_plan(made, "p", "It does not exist.")
        assert journal.plan(found_later(made), "p").error == "It does not exist."
        assert journal.plan(found_later(made), "another").error is None

    def test_steps_of_different_operations_are_kept_apart(self, journal: Journal) -> None:
        first, second = accepted(journal), accepted(journal)
        journal.begin_step(first, "p", "a", 1)
        journal.begin_step(second, "p", "a", 2)
        assert journal.plan(found_later(first), "p").steps["a"].kept == 1
        assert journal.plan(found_later(second), "p").steps["a"].kept == 2

    def test_what_was_kept_is_gone_at_the_end(self, journal: Journal, store: Store) -> None:
        first, second = accepted(journal), accepted(journal)
        for made in (first, second):
            journal.begin_step(made, "p", "a", {"before": SECRET})
        ended(journal, first)
        assert [row["kept"] is None for row in store.fetch("SELECT kept FROM steps ORDER BY number")] == [True, False]

    def test_a_kept_value_that_cannot_be_opened_is_named(
        self, open_journal: Callable[[], Journal], tmp_path: Path
    ) -> None:
        journal = open_journal()
        made = accepted(journal)
        journal.begin_step(made, "p", "a", 1)
        (tmp_path / vault.NAME).write_bytes(bytes(64))
        with pytest.raises(SystemFailure, match="sealed value"):
            open_journal().plan(found_later(made), "p")


class TestUnfinished:
    def test_those_of_earlier_agents_are_found_in_the_order_in_which_they_came(
        self, open_journal: Callable[[], Journal]
    ) -> None:
        journal = open_journal()
        made = [accepted(journal, message_id=f"m {number}", subject=f"s {number}") for number in range(20)]
        made[3].begin()
        journal.begin(made[3])
        journal.begin_step(made[3], "p", "a")

        found = list(open_journal().unfinished())
        assert [one.id for one in found] == [one.id for one in made]
        assert [one.has_steps for one in found] == [number == 3 for number in range(20)]
        one = found[3]
        assert (one.name, one.request_id, one.path, one.ended, one.attempts) == (
            "create_user",
            "req-7",
            CodePath.LEGACY,
            None,
            0,
        )
        assert one.request == request(message_id="m 3", subject="s 3")

    def test_the_bus_in_memory_names_no_message(self, journal: Journal) -> None:
        accepted(journal, message_id=None, namespace="guestagent", awaited=True)
        [one] = journal.unfinished()
        assert one.request == request(message_id=None, namespace="guestagent", awaited=True)

    def test_attempts_are_counted(self, journal: Journal) -> None:
        made = accepted(journal)
        for number in range(3):
            assert [one.attempts for one in journal.unfinished()] == [number]
            journal.count_attempt(made.id)

    def test_one_that_ended_is_among_them_until_its_end_was_told(self, journal: Journal) -> None:
        good = ended(journal, accepted(journal))
        bad = ended(journal, accepted(journal), NotFound(subject="It"))
        assert [(one.id, one.ended) for one in journal.unfinished()] == [
            (good.id, ""),
            (bad.id, "It does not exist on this guest."),
        ]
        journal.tell(good.id, None)
        assert [one.id for one in journal.unfinished()] == [bad.id]
        journal.tell(bad.id, bad.error)
        assert list(journal.unfinished()) == []

    @pytest.mark.parametrize("error", [None, NotFound(subject="It"), Cancelled(operation="create_user", phase="")])
    def test_an_end_that_the_disk_refused_is_written_when_it_is_told(
        self, journal: Journal, error: GuestAgentError | None
    ) -> None:
        made = accepted(journal)
        journal.tell(made.id, error)
        assert list(journal.unfinished()) == []
        shown = journal.show(made.id)
        assert shown is not None
        assert shown.state == OperationState.after(error).value
        assert shown.error == (str(error) if error else None)
        assert shown.ended is not None

    def test_whoever_waited_for_the_answer_has_it(self, journal: Journal) -> None:
        ended(journal, accepted(journal, awaited=True))
        assert list(journal.unfinished()) == []

    def test_one_that_was_cancelled_is_told_too(self, journal: Journal) -> None:
        made = accepted(journal)
        made.error, made.state = Cancelled(operation="create_user", phase=""), OperationState.CANCELLED
        journal.end(made)
        assert [one.ended for one in journal.unfinished()] == ["'create_user' was cancelled."]

    def test_without_the_key_there_are_neither_arguments_nor_a_context(
        self, open_journal: Callable[[], Journal], tmp_path: Path
    ) -> None:
        accepted(open_journal(), subject="s")
        (tmp_path / vault.NAME).unlink()
        [one] = open_journal().unfinished()
        assert one.request.arguments is None
        assert one.request.context == {}
        assert (one.name, one.request_id, one.request.subject) == ("create_user", "req-7", "s")


class TestWhatIsKept:
    @pytest.fixture
    def keep(self) -> list[int]:
        """How many are kept, as an option that can change."""
        return [3]

    @pytest.fixture
    def journal(self, store: Store, tmp_path: Path, keep: list[int]) -> Journal:
        return Journal(store, Vault(tmp_path), lambda: keep[0])

    @staticmethod
    def told(journal: Journal, number: int = 1) -> list[str]:
        """Operations that have ended, and everybody knows."""
        return [ended(journal, accepted(journal, awaited=True)).id for _ in range(number)]

    def test_the_newest_that_ended(self, journal: Journal, store: Store) -> None:
        made = self.told(journal, 10)
        assert ids(journal) == made[:-4:-1]

    def test_with_their_steps_and_no_others(self, journal: Journal, store: Store) -> None:
        for _ in range(10):
            made = accepted(journal, awaited=True)
            journal.begin_step(made, "p", "a")
            journal.fail_plan(made, "p", "no")
            ended(journal, made)
        assert len(store.fetch("SELECT * FROM steps")) == len(store.fetch("SELECT * FROM plans")) == 3

    def test_whatever_is_unfinished(self, journal: Journal) -> None:
        waiting = accepted(journal)
        running = accepted(journal)
        running.begin()
        journal.begin(running)
        made = self.told(journal, 10)
        assert ids(journal) == [*made[:-4:-1], running.id, waiting.id]

    def test_whatever_has_not_been_told(self, journal: Journal) -> None:
        untold = ended(journal, accepted(journal), NotFound(subject="It"))
        made = self.told(journal, 10)
        assert ids(journal) == [*made[:-4:-1], untold.id]
        assert [one.id for one in journal.unfinished()] == [untold.id]

        journal.tell(untold.id, None)
        self.told(journal)
        assert untold.id not in ids(journal)

    def test_more_or_less_when_the_option_changes(self, journal: Journal, keep: list[int]) -> None:
        keep[0] = 5
        made = self.told(journal, 10)
        assert len(ids(journal)) == 5
        keep[0] = 1
        assert self.told(journal) == ids(journal)
        assert made[-1] not in ids(journal)


class TestLooking:
    def test_the_newest_are_listed_first_and_as_many_as_asked(self, journal: Journal) -> None:
        made = [accepted(journal).id for _ in range(5)]
        assert ids(journal) == made[::-1]
        assert [one.id for one in journal.list(2)] == [made[4], made[3]]
        assert journal.list(0) == journal.list(-1) == []

    def test_a_list_has_no_steps(self, journal: Journal) -> None:
        journal.begin_step(accepted(journal), "p", "a")
        assert [one.steps for one in journal.list(5)] == [[]]

    def test_one_is_shown_with_its_steps_in_the_order_in_which_they_began(self, journal: Journal) -> None:
        made = accepted(journal)
        for plan, name in (("p", "z"), ("p", "a"), ("another", "m")):
            journal.begin_step(made, plan, name)
        journal.end_step(made, "p", "z", DONE)
        journal.end_step(made, "another", "m", UNDONE)

        shown = journal.show(made.id)
        assert shown is not None
        assert [(step.plan, step.name, step.state) for step in shown.steps] == [
            ("p", "z", DONE),
            ("p", "a", RUNNING),
            ("another", "m", UNDONE),
        ]
        assert [step.ended is not None for step in shown.steps] == [True, False, True]

    @pytest.mark.parametrize("name", ["", "nosuch", "' OR 1=1 --", "x" * 100_000])
    def test_what_is_not_there_is_not_shown(self, journal: Journal, name: str) -> None:
        accepted(journal)
        assert journal.show(name) is None

    def test_no_value_of_an_argument_is_shown(self, journal: Journal) -> None:
        made = accepted(journal)
        journal.begin_step(made, "p", "a", {"before": SECRET})
        assert SECRET not in repr(journal.list(5)) + repr(journal.show(made.id))
        assert SECRET not in repr(made) + repr(list(journal.unfinished()))


def test_no_secret_is_in_the_bytes_of_any_file(journal: Journal, store: Store, tmp_path: Path) -> None:
    def everything() -> bytes:
        return b"".join(path.read_bytes() for path in tmp_path.iterdir())

    for number in range(10):
        made = accepted(journal, awaited=bool(number % 2))
        journal.begin_step(made, "p", "a", {"before": SECRET})
        assert SECRET.encode() not in everything()
        ended(journal, made)
        journal.tell(made.id, None)
    store.close()
    assert b"create_user" in everything()
    assert SECRET.encode() not in everything()
    assert b"bob" not in everything()


def test_arguments_are_gone_as_soon_as_the_end_was_told(journal: Journal, store: Store) -> None:
    def sealed() -> dict[str, bool]:
        return {row["id"]: row["sealed"] is not None for row in store.fetch("SELECT id, sealed FROM operations")}

    cast, call = accepted(journal), accepted(journal, awaited=True)
    assert sealed() == {cast.id: True, call.id: True}
    for made in (cast, call):
        ended(journal, made)
    assert sealed() == {cast.id: True, call.id: False}, "the conductor is told with the context that is in there"
    journal.tell(cast.id, None)
    assert sealed() == {cast.id: False, call.id: False}


def test_the_journal_of_those_who_have_none_is_empty() -> None:
    journal = NoJournal()
    made = Operation("work", "-", lambda: None)
    journal.accept(made)
    journal.begin(made)
    journal.end(made)
    assert journal.plan(found_later(made), "p") == PlanRecord()
    assert journal.list(5) == []
    assert journal.show(made.id) is None
