"""Programs that are read or fed: what passes, what a failure says, and that none of them is ever left behind."""

import hashlib
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from guestagent.conformance.poll import eventually
from guestagent.contract.errors import Cancelled, SystemFailure
from guestagent.system import stream
from guestagent.system.stream import Consumer, Producer
from guestagent.system.waiting import Interruption
from tests.support.interruptions import PROMPT, cancelled_once, nothing_adds_up, timed_out_after

SECRET = "S3cr3t-pass"
MEGABYTE = 1 << 20

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can switch accounts")


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def everything(program: Producer, size: int = MEGABYTE) -> bytes:
    return b"".join(iter(lambda: program.read(size), b""))


def feed(program: Consumer) -> None:
    for _ in range(100):
        program.write(bytes(MEGABYTE))


def is_there(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_what_a_program_gives_is_read_to_its_end() -> None:
    with Producer(["head", "-c", "20000000", "/dev/zero"]) as program:
        assert everything(program) == bytes(20_000_000)
        assert program.finish() == ""


def test_a_read_gives_what_is_there_and_never_more_than_was_asked_for() -> None:
    with Producer(python("import os, time; os.write(1, b'abcd'); time.sleep(60)")) as program:
        assert program.read(3) == b"abc"
        assert program.read(3) == b"d"


def test_what_a_program_is_fed_arrives_whole(tmp_path: Path) -> None:
    content = os.urandom(5_000_000)
    with Consumer(["tee", str(tmp_path / "copy")]) as program:
        for at in range(0, len(content), 999_999):
            program.write(content[at : at + 999_999])
        program.finish()
    assert hashlib.sha256((tmp_path / "copy").read_bytes()).digest() == hashlib.sha256(content).digest()


def test_a_program_that_is_fed_nothing_sees_the_end() -> None:
    with Consumer(["cat"]) as program:
        program.finish()


def test_the_pipe_is_as_large_as_it_gets() -> None:
    with Producer(["head", "-c", str(64 * MEGABYTE), "/dev/zero"]) as program:
        eventually(lambda: len(program.read(MEGABYTE)) == MEGABYTE)


def test_a_program_has_no_input_and_a_minimal_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", SECRET)
    with Producer(["cat"]) as program:
        assert everything(program) == b""
    with Producer(["env"], environment={"TZ": "UTC"}) as program:
        assert everything(program).decode().splitlines() == [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG=C.UTF-8",
            "TZ=UTC",
        ]


@as_root
def test_a_program_runs_as_the_account_it_is_told() -> None:
    with Producer(["id", "-un"], user="nobody") as program:
        assert everything(program) == b"nobody\n"


def test_what_it_says_comes_back_and_is_kept_where_nobody_else_reads(tmp_path: Path) -> None:
    kept = tmp_path / "said.log"
    for word in ("one", "two"):
        with Producer(python(f"import sys; sys.stderr.write('{word}\\n')"), log_file=kept) as program:
            everything(program)
            assert program.finish() == f"{word}\n"
    assert kept.read_text() == "one\ntwo\n"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_a_link_in_the_place_of_the_log_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("whole")
    (tmp_path / "said.log").symlink_to(tmp_path / "victim")
    with pytest.raises(SystemFailure, match="symbolic link"):
        Producer(["true"], log_file=tmp_path / "said.log")
    assert (tmp_path / "victim").read_text() == "whole"


TALKATIVE = "import os\nfor _ in range(300): os.write(2, b'x' * 9999 + b'\\n')\n"


def test_a_program_that_says_much_before_it_gives_something_does_not_stand_still() -> None:
    with Producer(python(TALKATIVE + "os.write(1, b'data')")) as program:
        assert everything(program) == b"data"
        assert len(program.finish()) == stream.TAIL_BYTES


def test_a_program_that_says_much_before_it_takes_something_does_not_stand_still() -> None:
    with Consumer(python(TALKATIVE + "while os.read(0, 65536): pass\n" + TALKATIVE)) as program:
        for _ in range(10):
            program.write(bytes(MEGABYTE))
        assert len(program.finish()) == stream.TAIL_BYTES


def test_a_failure_says_the_program_and_the_end_of_what_it_said() -> None:
    code = "import sys; print('half'); sys.stderr.write('noise\\n' * 50 + 'the disk is full\\n'); sys.exit(7)"
    with Producer(python(code)) as program:
        assert everything(program) == b"half\n"
        with pytest.raises(SystemFailure, match=r"the disk is full \(it ended with code 7\)") as failure:
            program.finish()
    assert str(failure.value).count("noise") == 2


def test_death_by_a_signal_is_named() -> None:
    with Producer(python("import os; os.kill(os.getpid(), 9)")) as program:
        everything(program)
        with pytest.raises(SystemFailure, match="SIGKILL"):
            program.finish()


def test_a_program_that_ends_while_it_is_fed_says_why() -> None:
    with (
        Consumer(python("import sys; sys.stdin.read(10); sys.exit('no such stream')")) as program,
        pytest.raises(SystemFailure, match="no such stream"),
    ):
        feed(program)


def test_a_program_that_ends_well_and_does_not_take_all_has_failed() -> None:
    with Consumer(["true"]) as program, pytest.raises(SystemFailure, match="before it had read everything"):
        feed(program)


def test_a_failure_does_not_repeat_what_it_was_fed() -> None:
    code = "import sys; said = sys.stdin.read(); sys.exit('near ' + said[:30])"
    with Consumer(python(code)) as program:
        program.write(f"IDENTIFIED BY '{SECRET}'".encode())
        program.write(b"x" * 3_000_000)
        with pytest.raises(SystemFailure, match="near") as failure:
            program.finish()
    assert not any(SECRET[at : at + 6] in str(failure.value) for at in range(len(SECRET) - 5))


@pytest.mark.parametrize("kind", [Producer, Consumer])
def test_a_program_that_is_not_there_is_named(kind: type[Producer | Consumer]) -> None:
    with pytest.raises(SystemFailure, match=r"no-such-program failed: it cannot be started: there is no such program"):
        kind(["/usr/bin/no-such-program", SECRET])


def test_leaving_early_kills_the_program_and_what_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = (
        "import os, pathlib, subprocess\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        f"pathlib.Path({str(pids)!r}).write_text(f'{{os.getpid()}} {{child.pid}}\\n')\n"
        "child.wait()\n"
    )
    with Producer(python(code)):
        eventually(lambda: pids.exists() and pids.read_text().endswith("\n"))
        assert all(map(is_there, map(int, pids.read_text().split())))
    eventually(lambda: not any(map(is_there, map(int, pids.read_text().split()))))


def test_a_program_tells_whether_it_has_ended() -> None:
    with Producer(["sleep", "60"]) as program:
        assert not program.ended
        os.kill(program.pid, signal.SIGTERM)
        eventually(lambda: program.ended)
        with pytest.raises(SystemFailure, match="SIGTERM"):
            program.finish()
        assert program.ended


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "os._exit(0)"])
def test_a_program_dies_with_who_started_it(end: str) -> None:
    code = (
        "import os\n"
        "from guestagent.system.stream import Producer\n"
        "program = Producer(['sleep', '60'])\n"
        "while open(f'/proc/{program.pid}/comm').read() != 'sleep\\n': pass\n"
        f"print(program.pid, flush=True)\n{end}\n"
    )
    done = subprocess.run(python(code), capture_output=True, text=True, check=False, timeout=30)
    eventually(lambda: not is_there(int(done.stdout)))


def read_one() -> None:
    with Producer(["sleep", "60"]) as program:
        program.read(1)


def feed_one() -> None:
    with Consumer(["sleep", "60"]) as program:
        while True:
            program.write(bytes(MEGABYTE))


def finish_one() -> None:
    with Consumer(["sleep", "60"]) as program:
        program.finish()


def finish_a_silent_one() -> None:
    with Producer(python("import os, time; os.close(1); os.close(2); time.sleep(60)")) as program:
        program.read(1)
        program.finish()


WAITS = [read_one, feed_one, finish_one, finish_a_silent_one]


@pytest.mark.parametrize("wait", WAITS)
def test_a_cancel_ends_every_wait(wait: Callable[[], None]) -> None:
    with cancelled_once():
        wait()


@pytest.mark.parametrize("wait", WAITS)
def test_the_end_of_the_steps_time_ends_every_wait(wait: Callable[[], None]) -> None:
    with timed_out_after(0.5):
        wait()


def test_a_cancel_ends_a_stream_that_never_waits() -> None:
    interruption = Interruption()
    began = time.monotonic()
    with interruption.applied(), Producer(["cat", "/dev/zero"]) as program:
        threading.Timer(0.2, interruption.cancel, [Cancelled(operation="work", phase="")]).start()
        with pytest.raises(Cancelled):
            everything(program)
    assert time.monotonic() - began < 0.2 + PROMPT


def test_after_a_cancel_no_program_is_started(tmp_path: Path) -> None:
    interruption = Interruption()
    interruption.cancel(Cancelled(operation="work", phase=""))
    with interruption.applied(), pytest.raises(Cancelled):
        Producer(["touch", str(tmp_path / "mark")])
    assert not (tmp_path / "mark").exists()


def let_one_end() -> None:
    with Producer(["echo"]) as program:
        everything(program)
        program.finish()


def leave_one() -> None:
    with Consumer(["sleep", "60"]):
        pass


def miss_one() -> None:
    with pytest.raises(SystemFailure):
        Producer(["no-such-program"])


@pytest.mark.parametrize("once", [let_one_end, leave_one, miss_one])
def test_programs_leave_nothing_open_and_no_process(once: Callable[[], None], tmp_path: Path) -> None:
    with nothing_adds_up(50):
        for _ in range(50):
            once()
