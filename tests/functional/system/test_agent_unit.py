"""The agent's own unit, with a stand-in for the agent; runs inside the container of test_container.py only."""

import os
import pwd
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestagent.conformance.poll import eventually
from guestagent.system import procfs

UNIT = "guestagent.service"
PATH_UNIT = "guestagent.path"
SOURCES = Path(__file__).parents[3] / "etc"
PROGRAM = Path("/opt/guestagent/bin/guestagent")
GUEST_INFO = Path("/etc/trove/conf.d/guest_info.conf")
EXIT = GUEST_INFO.with_name("exit")
STAND_IN = f"""\
#!{sys.executable}
import os, signal, socket, sys
from pathlib import Path
from guestagent.system import accounts, command
from guestagent.system.plain import PlainControl
from guestagent.system.processes import Service

if Path({str(EXIT)!r}).exists():
    sys.exit(int(Path({str(EXIT)!r}).read_text()))
accounts.ensure("ga-test", Path("/nonexistent"))
log = Path(os.environ["LOGS_DIRECTORY"]) / "database.log"
service = Service("database", ["/usr/bin/sleep", "600"], log, user="ga-test")
PlainControl(Path(os.environ["RUNTIME_DIRECTORY"])).start(service)
volume = Path(os.environ["STATE_DIRECTORY"]) / "volume"
if not volume.is_dir():
    volume.mkdir()
    command.run(["mount", "-t", "tmpfs", "tmpfs", str(volume)], timeout=60)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGHUP])
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
    notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
while signal.sigwait([signal.SIGTERM, signal.SIGHUP]) == signal.SIGHUP:
    print("reloaded", file=log.open("a"))
"""


def systemctl(*arguments: str) -> str:
    done = subprocess.run(["systemctl", *arguments], check=False, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


def shown(name: str) -> str:
    return systemctl("show", f"--property={name}", "--value", UNIT)


@pytest.fixture(autouse=True)
def agent() -> Iterator[None]:
    """The unit is installed and running; afterwards neither it nor its database runs."""
    PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    PROGRAM.write_text(textwrap.dedent(STAND_IN))
    PROGRAM.chmod(0o755)
    EXIT.parent.mkdir(parents=True, exist_ok=True)
    EXIT.unlink(missing_ok=True)
    GUEST_INFO.touch()
    for unit in (UNIT, PATH_UNIT):
        Path("/etc/systemd/system", unit).write_bytes((SOURCES / unit).read_bytes())
    systemctl("daemon-reload")
    systemctl("start", UNIT)
    assert shown("ActiveState") == "active", systemctl("status", UNIT)
    yield
    systemctl("stop", PATH_UNIT, UNIT)
    systemctl("reset-failed", UNIT)
    for pid in databases():
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not databases())


def databases() -> list[int]:
    return [process.pid for process in procfs.running() if procfs.command_line(process) == ["/usr/bin/sleep", "600"]]


def test_the_database_survives_the_agent() -> None:
    before = databases()
    assert len(before) == 1
    systemctl("restart", UNIT)
    assert shown("ActiveState") == "active"
    assert databases() == before
    systemctl("stop", UNIT)
    assert databases() == before


def test_the_database_runs_as_its_own_account_without_the_agents_directories() -> None:
    (pid,) = databases()
    assert Path(f"/proc/{pid}").stat().st_uid == pwd.getpwnam("ga-test").pw_uid
    for directory, mode in (("/var/lib", 0o700), ("/run", 0o700), ("/var/log", 0o750), ("/var/cache", 0o700)):
        assert stat.S_IMODE(Path(directory, "guestagent").stat().st_mode) == mode


def test_what_the_agent_mounts_is_seen_by_everybody() -> None:
    assert "/var/lib/guestagent/volume " in Path("/proc/1/mounts").read_text()


def test_a_reload_reaches_the_agent_and_does_not_end_it() -> None:
    before = shown("MainPID")
    systemctl("reload", UNIT)
    eventually(lambda: "reloaded" in Path("/var/log/guestagent/database.log").read_text())
    assert shown("MainPID") == before


def test_an_agent_that_dies_is_started_again() -> None:
    os.kill(int(shown("MainPID")), signal.SIGKILL)
    eventually(lambda: shown("SubState") == "auto-restart")


@pytest.mark.parametrize("code", [2, 65, 74])
def test_an_image_that_is_wrong_is_not_started_again_and_again(code: int) -> None:
    systemctl("stop", UNIT)
    EXIT.write_text(str(code))
    systemctl("start", UNIT)
    assert shown("ActiveState") == "failed"
    assert shown("ExecMainStatus") == str(code)
    assert shown("NRestarts") == "0"


def test_files_that_come_late_wake_the_agent() -> None:
    systemctl("stop", UNIT)
    GUEST_INFO.unlink()
    systemctl("start", PATH_UNIT, UNIT)
    assert (shown("ActiveState"), shown("ConditionResult")) == ("inactive", "no")
    GUEST_INFO.write_text("[DEFAULT]\n")
    eventually(lambda: shown("ActiveState") == "active")


def test_files_that_are_there_do_not_wake_an_agent_that_was_stopped() -> None:
    systemctl("start", PATH_UNIT)
    systemctl("stop", UNIT)
    assert shown("ActiveState") == "inactive"
    assert systemctl("show", "--property=SubState", "--value", PATH_UNIT) == "waiting"
