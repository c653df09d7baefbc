"""Programs with pipes between them, as a shell would run them."""

from pathlib import Path

import pytest

from benchmarks.backup.pipelines import PipelineFailed, Program, flow


def test_what_one_says_the_next_one_reads(tmp_path: Path):
    with (tmp_path / "kept").open("wb") as kept:
        flow([Program(["printf", "b\\na\\n"]), Program(["sort"])], sink=kept)

    assert (tmp_path / "kept").read_text() == "a\nb\n"


def test_a_program_has_its_environment(tmp_path: Path):
    with (tmp_path / "kept").open("wb") as kept:
        flow([Program(["printenv", "PGSERVICEFILE"], environment={"PGSERVICEFILE": "/here"})], sink=kept)

    assert (tmp_path / "kept").read_text() == "/here\n"


@pytest.mark.parametrize("place", [0, 1])
def test_one_that_fails_is_named_with_what_it_said(place: int):
    programs = [Program(["cat"]), Program(["cat"])]
    programs[place] = Program(["ls", "/nowhere"])

    with pytest.raises(PipelineFailed, match=r"^ls ended with 2: .*/nowhere"):
        flow(programs)
