"""The systemd process control; runs inside the container of test_container.py only."""

import contextlib
import os
import re
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from guestagent.conformance.poll import eventually
from guestagent.contract.errors import NotFound, SystemFailure
from guestagent.system import procfs
from guestagent.system.processes import ProcessState, Service
from guestagent.system.systemd import UNIT_DIR, SystemdControl

UNIT = "guestagent-test-database.service"


@pytest.fixture
def control() -> SystemdControl:
    return SystemdControl()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    yield Service(name="test-database", argv=["/usr/bin/sleep", "600"], log=tmp_path / "service.log")
    subprocess.run(["systemctl", "kill", "--signal=KILL", UNIT], check=False, capture_output=True, timeout=60)
    subprocess.run(["systemctl", "stop", UNIT], check=False, capture_output=True, timeout=60)
    subprocess.run(["systemctl", "reset-failed", UNIT], check=False, capture_output=True, timeout=60)
    (UNIT_DIR / UNIT).unlink(missing_ok=True)
    subprocess.run(["systemctl", "daemon-reload"], check=True, timeout=60)


def program(service: Service, code: str) -> Service:
    return msgspec.structs.replace(service, argv=[sys.executable, "-c", textwrap.dedent(code)])


def pid_of(control: SystemdControl, service: Service) -> int:
    pid = control.pid(service)
    assert pid is not None
    return pid


def ended(pid: int) -> bool:
    process = procfs.look_up(pid)
    return process is None or process.ended


def test_a_service_starts_and_stops(control: SystemdControl, service: Service) -> None:
    assert control.state(service) is ProcessState.STOPPED
    assert control.pid(service) is None
    control.start(service)
    assert control.state(service) is ProcessState.RUNNING
    pid = pid_of(control, service)
    assert Path(f"/proc/{pid}/comm").read_text() == "sleep\n"
    control.stop(service, 30)
    assert control.state(service) is ProcessState.STOPPED
    assert control.pid(service) is None
    assert ended(pid)


def test_starts_and_stops_may_be_repeated(control: SystemdControl, service: Service) -> None:
    control.stop(service, 30)
    control.start(service)
    pid = pid_of(control, service)
    control.start(service)
    assert pid_of(control, service) == pid
    control.stop(service, 30)
    control.stop(service, 30)
    control.start(service)
    assert pid_of(control, service) != pid


def test_an_agent_that_starts_again_finds_the_service(control: SystemdControl, service: Service) -> None:
    control.start(service)
    later = SystemdControl()
    assert later.state(service) is ProcessState.RUNNING
    assert later.pid(service) == control.pid(service)
    later.stop(service, 30)
    assert control.state(service) is ProcessState.STOPPED


def test_a_service_that_is_killed_is_started_again(control: SystemdControl, service: Service) -> None:
    control.start(service)
    first = pid_of(control, service)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: control.pid(service) not in (None, first))
    assert control.state(service) is ProcessState.RUNNING


def test_a_service_that_ends_is_a_crash_between_its_restarts(control: SystemdControl, service: Service) -> None:
    control.start(service)

    def crashes() -> bool:
        # It is so for a second, in which a busy machine may not have looked.
        if (pid := control.pid(service)) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return control.state(service) is ProcessState.CRASHED

    eventually(crashes, every=0.001)
    control.stop(service, 30)
    assert control.state(service) is ProcessState.STOPPED


def test_a_service_that_cannot_run_is_given_up_and_can_be_started_again(
    control: SystemdControl, service: Service
) -> None:
    control.start(msgspec.structs.replace(service, argv=["/usr/bin/false"]))

    def given_up() -> bool:
        done = subprocess.run(["systemctl", "is-failed", UNIT], check=False, capture_output=True, timeout=60)
        return done.stdout == b"failed\n"

    eventually(given_up, timeout=30)
    assert control.state(service) is ProcessState.CRASHED
    control.start(service)
    assert control.state(service) is ProcessState.RUNNING


@pytest.mark.parametrize("code", ["pass", "import os; os.kill(os.getpid(), 15)"], ids=["exit", "SIGTERM"])
def test_a_good_end_that_nobody_asked_for_is_a_crash(control: SystemdControl, service: Service, code: str) -> None:
    ending = program(service, code)
    control.start(ending)
    eventually(lambda: control.state(ending) is ProcessState.CRASHED)
    control.stop(ending, 30)
    assert control.state(ending) is ProcessState.STOPPED


def test_a_bad_end_that_was_asked_for_is_no_crash(control: SystemdControl, service: Service) -> None:
    rude = program(
        service,
        """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
        print("ready", flush=True)
        time.sleep(600)
        """,
    )
    control.start(rude)
    eventually(lambda: "ready" in service.log.read_text())
    control.stop(rude, 30)
    assert control.state(rude) is ProcessState.STOPPED


def test_a_process_that_does_not_end_is_reported_and_not_killed(control: SystemdControl, service: Service) -> None:
    stubborn = program(
        service,
        """
        import signal, time
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("ready", flush=True)
        time.sleep(600)
        """,
    )
    stubborn = msgspec.structs.replace(stubborn, stop_signal=signal.SIGINT)
    control.start(stubborn)
    eventually(lambda: "ready" in service.log.read_text())
    with pytest.raises(SystemFailure, match="not killed"):
        control.stop(stubborn, 1)
    assert control.state(stubborn) is ProcessState.RUNNING
    with pytest.raises(SystemFailure, match="asked to stop"):
        control.start(stubborn)
    os.kill(pid_of(control, stubborn), signal.SIGTERM)
    control.stop(stubborn, 30)
    assert control.state(stubborn) is ProcessState.STOPPED


def test_the_stop_signal_is_the_services_own(control: SystemdControl, service: Service) -> None:
    polite = program(
        msgspec.structs.replace(service, stop_signal=signal.SIGINT),
        """
        import signal, sys, time
        signal.signal(signal.SIGINT, lambda *_: sys.exit(print("interrupted", flush=True)))
        print("ready", flush=True)
        time.sleep(600)
        """,
    )
    control.start(polite)
    eventually(lambda: "ready" in service.log.read_text())
    control.stop(polite, 30)
    assert service.log.read_text() == "ready\ninterrupted\n"


def test_a_stop_leaves_no_child_behind(control: SystemdControl, service: Service) -> None:
    parent = program(
        service,
        "import subprocess, time; print(subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)",
    )
    control.start(parent)
    eventually(lambda: service.log.read_text().endswith("\n"))
    child = int(service.log.read_text())
    control.stop(parent, 30)
    assert ended(child)


WORDS = [
    "",
    " ",
    "two words",
    '"',
    "'",
    "\\",
    "trailing\\",
    "\\x41\\n",
    "$HOME",
    "${PATH}",
    "$$",
    "%n",
    "%%",
    ";",
    "a;b",
    "#",
    "new\nline",
    "tab\t",
    "\x01\x7f",
    "*",
    "~",
    "@+!:-",
    "Größe 数据库",
]


def test_every_word_arrives_as_it_was(control: SystemdControl, service: Service) -> None:
    printing = msgspec.structs.replace(service, argv=["/usr/bin/printf", "%s\\0", *WORDS])
    control.start(printing)
    eventually(lambda: control.state(printing) is ProcessState.CRASHED)
    assert service.log.read_bytes().decode().split("\0")[:-1] == WORDS


def test_a_program_in_an_odd_place_is_found(control: SystemdControl, service: Service, tmp_path: Path) -> None:
    odd = tmp_path / "odd $HOME %n Größe"
    odd.mkdir()
    (odd / "sleep").symlink_to("/usr/bin/sleep")
    there = msgspec.structs.replace(service, argv=[str(odd / "sleep"), "600"])
    control.start(there)
    assert control.state(there) is ProcessState.RUNNING


def test_limits_account_and_environment(control: SystemdControl, service: Service) -> None:
    control.start(msgspec.structs.replace(service, user="nobody", open_files=123))
    pid = pid_of(control, service)
    limits = Path(f"/proc/{pid}/limits").read_text()
    assert re.search(r"^Max open files +123 +123 ", limits, re.MULTILINE)
    assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
    assert Path(f"/proc/{pid}").stat().st_uid == service.log.stat().st_uid != 0
    environment = Path(f"/proc/{pid}/environ").read_text().split("\0")
    assert "LANG=C.UTF-8" in environment


def test_output_is_appended_to_a_log_that_others_cannot_read(control: SystemdControl, service: Service) -> None:
    service.log.write_text("from before\n")
    talker = program(service, "import sys; print('out', flush=True); print('err', file=sys.stderr)")
    control.start(talker)
    eventually(lambda: control.state(talker) is ProcessState.CRASHED)
    assert service.log.read_text() == "from before\nout\nerr\n"
    assert stat.S_IMODE(service.log.stat().st_mode) == 0o640


def test_a_program_that_is_not_there_is_told(control: SystemdControl, service: Service) -> None:
    with pytest.raises(SystemFailure, match="systemctl failed"):
        control.start(msgspec.structs.replace(service, argv=["/no/such/program"]))
    assert control.state(service) is ProcessState.STOPPED


def test_an_end_at_once_is_a_crash_and_no_failure_to_start(control: SystemdControl, service: Service) -> None:
    # systemd reports the one or the other, whichever comes first.
    failing = msgspec.structs.replace(service, argv=["/usr/bin/false"])
    for _ in range(5):
        control.start(failing)
        assert control.state(failing) in (ProcessState.CRASHED, ProcessState.RUNNING)
        control.stop(failing, 30)


def test_an_account_that_is_not_there_is_told(control: SystemdControl, service: Service) -> None:
    with pytest.raises(NotFound, match="nobody-at-all"):
        control.start(msgspec.structs.replace(service, user="nobody-at-all"))
    assert control.state(service) is ProcessState.STOPPED


def test_a_stop_takes_the_unit_away(control: SystemdControl, service: Service) -> None:
    control.start(service)
    assert (UNIT_DIR / UNIT).exists()
    control.stop(service, 30)
    assert not (UNIT_DIR / UNIT).exists()
    listed = subprocess.run(["systemctl", "list-units", "--all", UNIT], check=True, capture_output=True, timeout=60)
    assert UNIT.encode() not in listed.stdout
