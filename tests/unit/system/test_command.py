"""Short commands: what comes back, what is killed, and what an error may say."""

import os
import pwd
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guestagent.conformance.poll import eventually
from guestagent.contract.errors import Cancelled, NotFound, SystemFailure
from guestagent.system import command
from guestagent.system.waiting import Interruption
from tests.support.interruptions import PROMPT, cancelled_once, nothing_adds_up, timed_out_after

SECRET = "S3cr3t-pass"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can switch accounts")


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_output_and_code_come_back() -> None:
    done = command.run(
        python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"), timeout=10, accept=(0, 3)
    )
    assert done == command.Completed("out\n", "err\n", 3)


def test_output_that_is_no_utf8_is_kept_readable() -> None:
    done = command.run(python("import os; os.write(1, b'a\\xffb')"), timeout=10)
    assert done.stdout == "a\ufffdb"


def test_stdin_is_passed_and_otherwise_empty() -> None:
    echo = python("import sys; print(len(sys.stdin.read()))")
    assert command.run(echo, timeout=10, stdin=b"x" * 100_000).stdout == "100000\n"
    assert command.run(echo, timeout=10).stdout == "0\n"


def test_a_command_that_does_not_read_its_input_is_no_failure() -> None:
    assert command.run(["true"], timeout=10, stdin=b"x" * 1_000_000).code == 0


def test_the_environment_is_minimal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", SECRET)
    assert command.run(["env"], timeout=10, environment={"HOME": "/x"}).stdout.splitlines() == [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG=C.UTF-8",
        "HOME=/x",
    ]


def test_no_argument_is_ever_interpreted_by_a_shell() -> None:
    assert command.run(["printf", "%s", "$(id) `id` ; id"], timeout=10).stdout == "$(id) `id` ; id"


def test_a_failure_says_the_program_and_the_end_of_what_it_said() -> None:
    code = "import sys; sys.stderr.write('noise\\n' * 50 + 'the disk is full\\n\\n'); sys.exit(7)"
    with pytest.raises(SystemFailure) as failure:
        command.run(python(code), timeout=10)
    sentence = str(failure.value)
    assert Path(sys.executable).name in sentence
    assert "the disk is full" in sentence
    assert "code 7" in sentence
    assert sentence.count("noise") == 2


def test_a_failure_names_no_argument() -> None:
    with pytest.raises(SystemFailure) as failure:
        command.run(["false", SECRET], timeout=10)
    assert SECRET not in str(failure.value)


@pytest.mark.parametrize("echoed", [SECRET, SECRET[3:], SECRET[:-4], f"near '{SECRET}' at line 1"])
def test_a_failure_does_not_repeat_the_input(echoed: str) -> None:
    code = f"import sys; sys.stdin.read(); sys.exit({echoed!r} + ': access denied')"
    with pytest.raises(SystemFailure) as failure:
        command.run(python(code), timeout=10, stdin=f"SET PASSWORD = '{SECRET}';".encode())
    sentence = str(failure.value)
    assert not any(SECRET[at : at + 6] in sentence for at in range(len(SECRET) - 5))
    assert "access denied" in sentence


def test_control_characters_do_not_reach_the_sentence() -> None:
    with pytest.raises(SystemFailure) as failure:
        command.run(python("import sys; sys.exit('a\\x1b[31mb\\0c')"), timeout=10)
    assert str(failure.value).isprintable()


def test_death_by_a_signal_is_named() -> None:
    with pytest.raises(SystemFailure, match="SIGKILL"):
        command.run(python("import os; os.kill(os.getpid(), 9)"), timeout=10)


def test_a_program_that_is_not_there_is_a_failure() -> None:
    with pytest.raises(SystemFailure, match=r"no-such-program failed: .*No such file"):
        command.run(["no-such-program"], timeout=10)


class Family:
    """A command that starts another, both of which would run for long.

    :ivar argv: runs it.
    """

    def __init__(self, directory: Path) -> None:
        self._pids = directory / "pids"
        self.argv = python(
            "import os, subprocess, sys, pathlib\n"
            "child = subprocess.Popen(['sleep', '60'])\n"
            f"pathlib.Path({str(self._pids)!r}).write_text(f'{{os.getpid()}} {{child.pid}}\\n')\n"
            "child.wait()\n"
        )

    def has_begun(self) -> bool:
        return self._pids.exists() and self._pids.read_text().endswith("\n")

    def has_ended(self) -> bool:
        return self.has_begun() and not any(is_there(int(pid)) for pid in self._pids.read_text().split())


@pytest.fixture
def family(tmp_path: Path) -> Family:
    return Family(tmp_path)


def test_a_time_out_kills_the_command_and_what_it_started(family: Family) -> None:
    began = time.monotonic()
    with pytest.raises(SystemFailure, match="within 5 s and was killed"):
        command.run(family.argv, timeout=5)
    assert time.monotonic() - began < 5 + PROMPT
    eventually(family.has_ended)


def test_a_command_that_talks_faster_than_one_can_listen_is_killed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "CHUNK", 1)
    began = time.monotonic()
    with pytest.raises(SystemFailure, match="was killed"):
        command.run(["timeout", "10", "yes"], timeout=0.3)
    assert time.monotonic() - began < 0.3 + PROMPT


def test_a_command_that_closed_its_outputs_is_waited_for() -> None:
    began = time.monotonic()
    done = command.run(
        python("import os, time; os.write(1, b'x'); os.close(1); os.close(2); time.sleep(0.5); os._exit(3)"),
        timeout=10,
        accept=(3,),
    )
    assert done == command.Completed("x", "", 3)
    assert time.monotonic() - began >= 0.5


def test_a_cancel_kills_the_command_and_what_it_started(family: Family) -> None:
    with cancelled_once(family.has_begun):
        command.run(family.argv, timeout=60)
    eventually(family.has_ended)


def test_a_cancel_ends_a_command_that_closed_its_outputs(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    code = f"import os, time; os.close(1); os.close(2); open({str(closed)!r}, 'w'); time.sleep(60)"
    with cancelled_once(closed.exists):
        command.run(python(code), timeout=60)


def test_a_cancel_ends_a_command_that_does_not_take_its_input() -> None:
    with cancelled_once():
        command.run(["sleep", "60"], timeout=60, stdin=b"x" * 1_000_000)


def test_the_end_of_the_steps_time_kills_the_command_and_what_it_started(family: Family) -> None:
    with timed_out_after(5, "make the tables"):
        command.run(family.argv, timeout=60)
    eventually(family.has_ended)


def test_the_time_of_the_command_counts_where_it_is_the_shorter_one() -> None:
    interruption = Interruption()
    with (
        interruption.applied(),
        interruption.limited("make the tables", 30),
        pytest.raises(SystemFailure, match="was killed"),
    ):
        command.run(["sleep", "60"], timeout=0.2)


@pytest.fixture
def cancelled() -> Iterator[Interruption]:
    interruption = Interruption()
    interruption.cancel(Cancelled(operation="work", phase=""))
    with interruption.applied():
        yield interruption


@pytest.mark.usefixtures("cancelled")
def test_after_a_cancel_no_command_is_started(tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        command.run(["touch", str(tmp_path / "mark")], timeout=10)
    assert not (tmp_path / "mark").exists()


def test_what_undoes_can_run_commands(cancelled: Interruption) -> None:
    with cancelled.shielded():
        assert command.run(["cat"], timeout=10, stdin=b"undone").stdout == "undone"


def test_an_operation_that_is_not_interrupted_runs_commands_as_ever() -> None:
    interruption = Interruption()
    with interruption.applied(), interruption.limited("ask", 30):
        assert command.run(["cat"], timeout=10, stdin=b"x" * 200_000).stdout == "x" * 200_000


def cancel_one() -> None:
    with cancelled_once():
        command.run(["sleep", "60"], timeout=60, stdin=b"x")


def time_one_out() -> None:
    with timed_out_after(0.002):
        command.run(["sleep", "60"], timeout=60, stdin=b"x")


def let_one_end() -> None:
    command.run(["true"], timeout=60, stdin=b"x")


@pytest.mark.parametrize("once", [cancel_one, time_one_out, let_one_end])
def test_commands_leave_nothing_open_and_no_process(once: Callable[[], None]) -> None:
    with nothing_adds_up(200):
        for _ in range(200):
            once()


def is_there(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_an_account_that_does_not_exist_is_named() -> None:
    with pytest.raises(NotFound, match="nobody-at-all"):
        command.run(["true"], timeout=10, user="nobody-at-all")


def test_the_own_account_needs_no_root() -> None:
    own = pwd.getpwuid(os.geteuid()).pw_name
    assert command.run(["id", "-un"], timeout=10, user=own).stdout.strip() == own


@as_root
def test_root_gives_up_its_account_and_its_groups() -> None:
    account = pwd.getpwnam("nobody")
    uid, gid = account.pw_uid, account.pw_gid
    status = command.run(["cat", "/proc/self/status"], timeout=10, user="nobody").stdout
    facts = dict(line.split(":", 1) for line in status.splitlines())
    assert facts["Uid"].split() == [str(uid)] * 4
    assert facts["Gid"].split() == [str(gid)] * 4
    assert facts["Groups"].split() == [str(gid)]


@pytest.fixture
def unprivileged() -> Iterator[None]:
    before = os.geteuid()
    if before == 0:
        os.seteuid(pwd.getpwnam("nobody").pw_uid)
    yield
    os.seteuid(before)


@pytest.mark.usefixtures("unprivileged")
def test_another_account_needs_root() -> None:
    with pytest.raises(SystemFailure, match="does not run as root"):
        command.run(["true"], timeout=10, user="root")
