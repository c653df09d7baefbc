"""Trying again: how often, for how long, how far apart, and what is not tried again."""

import time

import pytest

from guestagent.backup import patience
from guestagent.backup.patience import Patience
from guestagent.contract.errors import Cancelled, InvalidValue, StorageError
from tests.support.interruptions import cancelled_once, something_waits, timed_out_after


class Refusing:
    """Work that is refused a number of times."""

    def __init__(self, times: int, error: type[StorageError] = StorageError) -> None:
        self.times = times
        self.error = error
        self.tried: list[float] = []

    def __call__(self) -> str:
        self.tried.append(time.monotonic())
        if len(self.tried) <= self.times:
            raise self.error(subject="The store", problem=f"refusal {len(self.tried)}")
        return "done"


class Denied(StorageError):
    """As a store's that knows us and does not let us."""

    hopeless = True
    id = "storage.denied"


def test_what_is_done_at_once_is_not_tried_again() -> None:
    work = Refusing(0)
    assert Patience(5, 100).try_to(work) == "done"
    assert len(work.tried) == 1


@pytest.mark.usefixtures("promptly")
def test_what_is_refused_is_tried_again_so_often_and_no_more() -> None:
    assert Patience(3, 0).try_to(Refusing(3)) == "done"
    work = Refusing(4)
    with pytest.raises(StorageError, match="refusal 4"):
        Patience(3, 0).try_to(work)
    assert len(work.tried) == 4


@pytest.mark.usefixtures("promptly")
def test_a_network_that_is_away_for_a_while_is_outlived() -> None:
    work = Refusing(1000)
    with pytest.raises(StorageError):
        Patience(0, 0.3).try_to(work)
    assert work.tried[-1] - work.tried[0] >= 0.3
    assert len(work.tried) > 3


def test_pauses_grow_differ_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(patience.waiting, "pause", pauses.append)
    with pytest.raises(StorageError):
        Patience(2000, 0).try_to(Refusing(10_000))
    for number, pause in enumerate(pauses[:6]):
        assert 0.25 * 2**number <= pause <= 0.5 * 2**number
    assert 15 <= min(pauses[10:]) < max(pauses[10:]) <= patience.LONGEST_PAUSE
    assert len(set(pauses[10:])) > 100


def test_what_another_try_does_not_heal_is_not_tried_again() -> None:
    work = Refusing(1, Denied)
    with pytest.raises(Denied):
        Patience(5, 100).try_to(work)
    assert len(work.tried) == 1


def test_an_error_that_is_not_the_store_s_is_not_tried_again() -> None:
    tried = []

    def work() -> None:
        tried.append(1)
        raise InvalidValue(subject="The name", problem="no name")

    with pytest.raises(InvalidValue):
        Patience(5, 100).try_to(work)
    assert tried == [1]


def test_a_cancel_ends_a_pause_at_once() -> None:
    with cancelled_once(something_waits):
        Patience(100, 100).try_to(Refusing(1000))


def test_the_end_of_the_step_ends_a_pause() -> None:
    with timed_out_after(0.2):
        Patience(100, 100).try_to(Refusing(1000))


def test_who_was_cancelled_hears_of_that_and_not_of_the_store() -> None:
    with cancelled_once() as interruption:

        def work() -> None:
            interruption.cancel(Cancelled(operation="work", phase=""))
            raise StorageError(subject="The store", problem="broke off")

        # The cancel that the block expects is the first one, and comes while this waits.
        Patience(100, 100).try_to(Refusing(1000))
        Patience(0, 0).try_to(work)


def test_a_refusal_is_logged_and_says_when_it_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patience, "FIRST_PAUSE", 0.001)
        Patience(3, 0).try_to(Refusing(2))
    assert len(caplog.records) == 2
    assert "The store failed: refusal 1. Try 2 in 0.0 s" in caplog.text
