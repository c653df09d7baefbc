"""How far a stream is: it only ever advances, and ends at the whole."""

from guestagent.backup.progress import Meter, silent


class Heard(list[tuple[int, int | None]]):
    def __call__(self, done: int, total: int | None) -> None:
        self.append((done, total))


def test_every_chunk_is_told_with_the_whole() -> None:
    heard = Heard()
    meter = Meter(heard, 100)
    for size in (10, 0, 60):
        meter.count(size)
    assert heard == [(10, 100), (10, 100), (70, 100)]
    assert meter.done == 70


def test_a_guess_that_was_too_low_grows_and_one_that_was_too_high_is_corrected_at_the_end() -> None:
    low, high = Heard(), Heard()
    for heard, guess in ((low, 50), (high, 500)):
        meter = Meter(heard, guess)
        meter.count(40)
        meter.count(60)
        meter.end()
    assert low == [(40, 50), (100, 100), (100, 100)]
    assert high == [(40, 500), (100, 500), (100, 100)]


def test_without_a_guess_the_whole_is_known_at_the_end() -> None:
    heard = Heard()
    meter = Meter(heard, None)
    meter.count(5)
    meter.end()
    assert heard == [(5, None), (5, 5)]


def test_an_empty_stream_ends_at_nothing() -> None:
    heard = Heard()
    Meter(heard, 10).end()
    assert heard == [(0, 0)]
    Meter(silent, None).count(1)
