"""The one connection that is kept: who gets it, and when it is closed."""

import dataclasses

import pytest

from guestagent.capabilities.idle import IdleConnection


@dataclasses.dataclass
class Made:
    """Connections as numbers, and what became of them."""

    opened: int = 0
    closed: list[int] = dataclasses.field(default_factory=list)
    lost: set[int] = dataclasses.field(default_factory=set)
    stuck: bool = False

    def open(self) -> int:
        self.opened += 1
        return self.opened

    def answers(self, connection: int) -> bool:
        if self.stuck:
            raise TimeoutError
        return connection not in self.lost


@pytest.fixture
def made() -> Made:
    return Made()


@pytest.fixture
def idle(made: Made) -> IdleConnection[int]:
    return IdleConnection(made.open, made.answers, made.closed.append)


def test_one_is_kept_and_used_again(made: Made, idle: IdleConnection[int]) -> None:
    for _ in range(3):
        with idle.borrowed() as connection:
            assert connection == 1
    idle.close()
    idle.close()
    assert made.closed == [1]


def test_two_at_a_time_are_two(made: Made, idle: IdleConnection[int]) -> None:
    with idle.borrowed() as first, idle.borrowed() as second:
        assert (first, second) == (1, 2)
    # The first that comes back is kept.
    assert made.closed == [1]


def test_one_that_is_lost_is_replaced(made: Made, idle: IdleConnection[int]) -> None:
    with idle.borrowed():
        pass
    made.lost.add(1)
    with idle.borrowed() as connection:
        assert connection == 2
    assert made.closed == [1]


def test_one_that_saw_an_error_is_not_kept(made: Made, idle: IdleConnection[int]) -> None:
    with pytest.raises(ValueError, match="odd"), idle.borrowed():
        raise ValueError("odd")
    with idle.borrowed() as connection:
        assert connection == 2
    assert made.closed == [1]


def test_where_one_is_stuck_no_other_is_tried(made: Made, idle: IdleConnection[int]) -> None:
    with idle.borrowed():
        pass
    made.stuck = True
    with pytest.raises(TimeoutError), idle.borrowed():
        pass
    assert (made.opened, made.closed) == (1, [1])
