"""What becomes of an operation whose agent dies, at every moment at which it can."""

import os
from pathlib import Path

import pytest

from guestagent.contract.operations import CodePath
from guestagent.operations.store import NAME
from tests.unit.operations.mortal import (
    AT_FIRST,
    MISSING,
    OLD,
    SECRET,
    WHOLE,
    Machine,
    deaths,
    dies,
    noted,
    taken_up,
)

INTERRUPTED = "The guest agent ended while it did 'work'; what must not stay was taken back, ask again."
SCENARIOS = ["one_plan", "two_plans", "nested"]
FAILING = ["failing", "two_plans_failing", "nested_failing"]
EVERYTHING = {"a": WHOLE, "b": WHOLE, "c": WHOLE, "d": WHOLE}
TAKEN_BACK = {
    "failing": {"a": OLD, "b": WHOLE, "d": WHOLE},
    "two_plans_failing": {"a": WHOLE, "b": WHOLE},
    "nested_failing": {"a": OLD, "b": WHOLE, "c": WHOLE},
}
"""What is there in the end when no agent dies; in ``nested_failing`` the inner plan was done."""
UNDONE = {"one_plan": "ac", "two_plans": "abcd", "nested": "abcd"}
"""The steps that can be taken back."""


def heard(machine: Machine) -> set[str]:
    """What the conductor has heard of the end; it may hear the same twice."""
    return {note for note in machine.notes if note.startswith("told")}


class TestDeaths:
    """An agent dies at each of its moments in turn, and the next one takes up what it left."""

    @pytest.mark.parametrize("rebooted", [False, True], ids=["agent", "machine"])
    @pytest.mark.parametrize("scenario", SCENARIOS)
    def test_convergence_goes_on_to_the_good_end(self, tmp_path: Path, scenario: str, rebooted: bool) -> None:
        for machine in deaths(tmp_path, scenario, CodePath.CONVERGENCE):
            known, tried = noted(machine), len(machine.notes)
            if rebooted and scenario == "one_plan":
                machine.reboot()
            details = taken_up(machine, scenario, CodePath.CONVERGENCE)

            if details is None:
                assert machine.died == "died before it was accepted"
                assert machine.effects == AT_FIRST
                continue
            assert (details.state, details.error) == ("done", None), machine.died
            assert heard(machine) == {"told a good end"}, machine.died
            again = {note.removeprefix("do ") for note in machine.notes[tried:]}
            assert not [note for note in machine.notes if note.startswith("undo")], machine.died
            assert not [name for name, state in known.items() if state == "done" and name in again - {"c"}], (
                machine.died
            )
            if not (rebooted and "its end was" in machine.died):
                assert machine.effects == EVERYTHING, machine.died

    @pytest.mark.parametrize("scenario", FAILING)
    def test_convergence_goes_on_to_the_bad_end(self, tmp_path: Path, scenario: str) -> None:
        for machine in deaths(tmp_path, scenario, CodePath.CONVERGENCE):
            details = taken_up(machine, scenario, CodePath.CONVERGENCE)

            if details is None:
                assert machine.effects == AT_FIRST
                continue
            assert (details.state, details.error) == ("failed", str(MISSING)), machine.died
            assert machine.effects == TAKEN_BACK[scenario], machine.died
            assert heard(machine) == {f"told {MISSING}"}, machine.died

    @pytest.mark.parametrize("scenario", SCENARIOS)
    def test_legacy_takes_back_what_it_can(self, tmp_path: Path, scenario: str) -> None:
        for machine in deaths(tmp_path, scenario, CodePath.LEGACY):
            known, tried = noted(machine), len(machine.notes)
            details = taken_up(machine, scenario, CodePath.LEGACY)

            if details is None:
                assert machine.effects == AT_FIRST
                continue
            assert not [note for note in machine.notes[tried:] if note.startswith("do ")], "legacy does nothing again"
            if details.state == "done":
                assert machine.effects == EVERYTHING, machine.died
                assert "its end" in machine.died
                continue
            assert (details.state, details.error) == ("failed", INTERRUPTED), machine.died
            assert heard(machine) == {f"told {INTERRUPTED}"}, machine.died
            stays = "ab" if scenario == "two_plans" and "c" in known else ""
            for name in UNDONE[scenario]:
                expected = WHOLE if name in stays else AT_FIRST.get(name)
                assert machine.read(name) == expected, (name, machine.died)

    @pytest.mark.parametrize("scenario", FAILING)
    def test_legacy_takes_back_what_failed_before(self, tmp_path: Path, scenario: str) -> None:
        for machine in deaths(tmp_path, scenario, CodePath.LEGACY):
            known = noted(machine)
            details = taken_up(machine, scenario, CodePath.LEGACY)

            if details is None:
                continue
            assert details.state == "failed"
            assert details.error in (INTERRUPTED, str(MISSING)), machine.died
            assert heard(machine) == {f"told {details.error}"}, machine.died
            if details.error == str(MISSING):
                assert machine.effects == TAKEN_BACK[scenario], machine.died
            elif scenario != "two_plans_failing":
                assert machine.read("a") == OLD, machine.died
                assert machine.read("c") is None, machine.died
            else:
                assert machine.read("a") == (WHOLE if "c" in known else OLD), machine.died
                assert machine.read("c") is None, machine.died

    @pytest.mark.parametrize("path", list(CodePath), ids=lambda path: path.value)
    def test_agents_that_die_while_they_take_back_are_followed_by_one_that_goes_on(
        self, tmp_path: Path, path: CodePath
    ) -> None:
        """The first dies when the failure is noted; the second at each of its moments, and a third comes."""
        first = next(one for one in deaths(tmp_path, "failing", path) if "after the failure of plan" in one.died)
        for moment in range(1, 100):
            machine = first.copied(tmp_path / f"second {moment}")
            dead = dies(machine, "failing", path, moment, asked=False)
            details = taken_up(machine, "failing", path)
            assert details is not None
            assert (details.state, details.error) == ("failed", str(MISSING)), machine.died
            assert machine.effects == TAKEN_BACK["failing"], machine.died
            if not dead:
                break
        assert moment > 8

    @pytest.mark.parametrize("moment", [12, 14, 17])
    def test_agents_that_die_again_and_again_come_to_an_end(self, tmp_path: Path, moment: int) -> None:
        machine = Machine(tmp_path / "machine")
        assert dies(machine, "one_plan", CodePath.CONVERGENCE, moment)
        lives = 1
        while dies(machine, "one_plan", CodePath.CONVERGENCE, moment, asked=False):
            lives += 1
        assert 1 < lives <= 5
        details = taken_up(machine, "one_plan", CodePath.CONVERGENCE)
        assert details is not None
        assert (details.state, details.error) == ("done", None)
        assert machine.effects == EVERYTHING

    def test_one_that_kills_five_agents_in_a_row_is_given_up(self, tmp_path: Path) -> None:
        in_b = (one for one in deaths(tmp_path, "nested", CodePath.CONVERGENCE) if "halfway through b" in one.died)
        machine = next(in_b)
        for _ in range(5):
            assert dies(machine, "nested", CodePath.CONVERGENCE, 8, asked=False)
            assert "halfway through b" in machine.died
        details = taken_up(machine, "nested", CodePath.CONVERGENCE)
        assert details is not None
        assert (details.state, details.error) == ("failed", INTERRUPTED)
        assert machine.effects == AT_FIRST

    @pytest.mark.parametrize("path", list(CodePath), ids=lambda path: path.value)
    def test_no_secret_is_on_the_disk_of_a_machine_that_died(self, tmp_path: Path, path: CodePath) -> None:
        for machine in deaths(tmp_path, "failing", path):
            for file in machine.state_dir.iterdir():
                assert SECRET.encode() not in file.read_bytes(), machine.died


FRAME, HEAD = 4096 + 24, 32
"""Bytes of a page in the log ahead, and of its beginning; see SQLite's "WAL-mode File Format"."""


class TestPowerCuts:
    """The end of what was written ahead has not come to the disk."""

    @pytest.mark.parametrize("where", ["halfway through c", "before its end was noted"])
    def test_whatever_is_lost_the_end_is_right(self, tmp_path: Path, where: str) -> None:
        died = next(one for one in deaths(tmp_path, "one_plan", CodePath.CONVERGENCE) if where in one.died)
        whole = (died.state_dir / f"{NAME}-wal").stat().st_size
        frames = (whole - HEAD) // FRAME
        assert frames > 10
        lost_it = 0
        for lost in range(1, frames + 1):
            machine = died.copied(tmp_path / f"without {lost}")
            (machine.state_dir / f"{NAME}-shm").unlink()
            log = machine.state_dir / f"{NAME}-wal"
            # Every other time the cut is in the middle of a page.
            os.truncate(log, whole - lost * FRAME + (FRAME // 2 if lost % 2 else 0))
            details = taken_up(machine, "one_plan", CodePath.CONVERGENCE)
            if details is None:
                lost_it += 1
            else:
                assert (details.state, details.error) == ("done", None), lost
                assert machine.effects == EVERYTHING, lost
        assert 0 < lost_it < frames
