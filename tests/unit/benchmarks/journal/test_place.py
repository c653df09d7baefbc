"""Where a journal can lie, and the least that writing something down costs there."""

from pathlib import Path

from benchmarks.journal import costs
from benchmarks.journal.place import BLOCK, Place, file_system


def test_the_type_of_a_file_system_is_that_of_the_nearest_mount():
    assert file_system(Path("/proc/self")) == "proc"
    assert file_system(Path("/proc/self/../../usr")) == file_system(Path("/usr"))


def test_the_floor_grows_by_a_block(tmp_path: Path):
    with Place(tmp_path) as place:
        assert place.append() > 0
        assert place.append() > 0

    assert (tmp_path / "floor").stat().st_size == 2 * len(BLOCK)


def test_everything_is_measured_in_every_round(tmp_path: Path):
    with Place(tmp_path) as place:
        measured = costs.measure({"here": place}, rounds=2, repeats=1)

    assert {figure: len(samples.medians) for figure, samples in measured["here"].items()} == dict.fromkeys(
        costs.FIGURES, 2
    )
