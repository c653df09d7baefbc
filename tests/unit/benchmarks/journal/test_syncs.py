"""How often the kernel is asked to have something on disk."""

import sys
from pathlib import Path

import pytest

from benchmarks.journal.kinds import KINDS, STEPS
from benchmarks.journal.syncs import NotCounted, count, sum_up

SUMMARY = """\
    calls syscall
--------- ----------------
        2 fsync
       11 fdatasync
--------- ----------------
       13 total
"""
STAND_IN = f"""#!{sys.executable}
import sys
kind, times = sys.argv[-3:-1]
syncs = 7 + int(times) * (2 if kind in ("call", "cast") else 22)
with open(sys.argv[sys.argv.index("-o") + 1], "w") as summary:
    summary.write(f"    calls syscall\\n{{syncs:9}} fdatasync\\n")
"""


def stand_in(directory: Path, program: str) -> str:
    path = directory / "strace"
    path.write_text(program)
    path.chmod(0o755)
    return str(path)


def test_the_summary_is_summed_up():
    assert sum_up(SUMMARY) == 13


def test_where_nothing_was_counted_the_summary_is_empty():
    assert sum_up("") == 0


def test_the_start_does_not_count_and_a_step_is_counted_without_its_operation(tmp_path: Path):
    counted = count(tmp_path, times=5, strace=stand_in(tmp_path, STAND_IN))

    assert counted == {name: 22 / STEPS - 2 / STEPS if kind.steps else 2 for name, kind in KINDS.items()}


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("#!/bin/sh\necho 'strace: PTRACE_TRACEME: Operation not permitted' >&2\nexit 1\n", "Operation not permitted"),
        ("#!/bin/sh\nexit 3\n", "ended with 3"),
    ],
)
def test_it_says_why_it_cannot_count(tmp_path: Path, program: str, why: str):
    with pytest.raises(NotCounted, match=why):
        count(tmp_path, strace=stand_in(tmp_path, program))


def test_it_says_that_there_is_no_strace(tmp_path: Path):
    with pytest.raises(NotCounted, match="No such file"):
        count(tmp_path, strace=str(tmp_path / "strace"))
