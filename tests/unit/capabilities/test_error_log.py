"""The end of the error log, as far as it says why."""

import re
from pathlib import Path

import pytest

from guestagent.capabilities.error_log import ErrorLog
from guestagent.contract.errors import DatastoreError, SystemFailure

ERROR = re.compile(r"\[ERROR\] (.*)")


def test_the_first_errors_after_the_mark_are_the_reasons(tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    path.write_text("2026 0 [ERROR] of long ago\n")
    log = ErrorLog(path, ERROR)
    mark = log.size()
    with path.open("a") as stream:
        stream.write("2026 0 [Note] hello\n2026 0 [ERROR] one\n2026 0 [Warning] w\n")
        stream.writelines(f"2026 0 [ERROR] {number}\n" for number in range(9))
    assert log.reasons(mark) == "one; 0; 1"


def test_there_may_be_nothing_to_say(tmp_path: Path) -> None:
    log = ErrorLog(tmp_path / "error.log", ERROR)
    assert (log.size(), log.reasons(0)) == (0, "")
    (tmp_path / "error.log").write_bytes(b"\xff\xfe\n")
    assert log.reasons(0) == ""


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("[ERROR] of somebody else\n")
    (tmp_path / "error.log").symlink_to(tmp_path / "other")
    assert ErrorLog(tmp_path / "error.log", ERROR).reasons(0) == ""


@pytest.mark.parametrize(
    ("said", "why"), [("2026 0 [ERROR] no room\n", "no room"), ("2026 0 [Note] hello\n", "it ended with code 1")]
)
def test_a_program_fails_for_what_the_log_says_since_or_else_for_what_it_says_itself(
    tmp_path: Path, said: str, why: str
) -> None:
    path = tmp_path / "error.log"
    path.write_text("2026 0 [ERROR] of long ago\n")
    log = ErrorLog(path, ERROR)

    def fail() -> None:
        with log.explaining("Making the data"), path.open("a") as stream:
            stream.write(said)
            raise SystemFailure(subject="install", problem="it ended with code 1")

    with pytest.raises(DatastoreError, match=f"^Making the data failed: {why}\\.$"):
        fail()
