"""The plain process control, with real processes."""

import contextlib
import json
import os
import pwd
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from guestagent.conformance.poll import eventually
from guestagent.contract.errors import NotFound, SystemFailure
from guestagent.system import procfs
from guestagent.system.plain import PlainControl
from guestagent.system.processes import ProcessState, Service
from guestagent.system.waiting import Interruption
from tests.support.interruptions import cancelled_once, nothing_adds_up, timed_out_after


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(name="database", argv=["/usr/bin/sleep", f"600.{os.getpid()}"], log=tmp_path / "service.log")
    yield made
    for record in (tmp_path / "run").glob("*.json"):
        process = json.loads(record.read_bytes() or b"{}").get("process")
        for left in procfs.family(procfs.Process(**process)) if process else []:
            os.kill(left.pid, signal.SIGKILL)


@pytest.fixture
def control(tmp_path: Path) -> PlainControl:
    return PlainControl(tmp_path / "run")


def program(service: Service, code: str) -> Service:
    return msgspec.structs.replace(service, argv=[sys.executable, "-c", textwrap.dedent(code)])


def pid_of(control: PlainControl, service: Service) -> int:
    pid = control.pid(service)
    assert pid is not None
    return pid


def test_a_service_starts_and_stops(control: PlainControl, service: Service) -> None:
    assert control.state(service) is ProcessState.STOPPED
    assert control.pid(service) is None
    control.start(service)
    assert control.state(service) is ProcessState.RUNNING
    pid = pid_of(control, service)
    control.stop(service, 10)
    assert control.state(service) is ProcessState.STOPPED
    assert control.pid(service) is None
    assert not Path(f"/proc/{pid}").exists()


def test_starts_and_stops_may_be_repeated(control: PlainControl, service: Service) -> None:
    control.stop(service, 1)
    control.start(service)
    pid = pid_of(control, service)
    control.start(service)
    assert pid_of(control, service) == pid
    control.stop(service, 10)
    control.stop(service, 10)
    control.start(service)
    assert pid_of(control, service) != pid


def test_the_process_is_detached_from_the_agent(control: PlainControl, service: Service) -> None:
    handle = os.open("/", os.O_RDONLY)
    os.set_inheritable(handle, True)
    try:
        control.start(service)
    finally:
        os.close(handle)
    pid = pid_of(control, service)
    assert os.getsid(pid) == pid != os.getsid(0)
    assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
    expected = {"0": "/dev/null", "1": str(service.log), "2": str(service.log)}
    eventually(lambda: descriptors(pid) == expected, message=lambda: str(descriptors(pid)))


def descriptors(pid: int) -> dict[str, str]:
    """What is open, as far as it stays open while one looks."""
    found = {}
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found[path.name] = str(path.readlink())
    return found


def test_the_environment_of_the_agent_stays_with_it(
    control: PlainControl, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "S3cr3t")
    control.start(service)
    pid = pid_of(control, service)
    eventually(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")
    assert b"S3cr3t" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_output_is_appended_to_the_log(control: PlainControl, service: Service) -> None:
    service.log.write_text("from before\n")
    service.log.chmod(0o666)
    talker = program(service, "import sys; print('out', flush=True); print('err', file=sys.stderr)")
    control.start(talker)
    eventually(lambda: control.state(talker) is not ProcessState.RUNNING)
    assert service.log.read_text() == "from before\nout\nerr\n"
    assert stat.S_IMODE(service.log.stat().st_mode) == 0o640


def test_a_log_that_is_a_link_is_refused(control: PlainControl, service: Service, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("as it was")
    service.log.symlink_to(target)
    with pytest.raises(SystemFailure):
        control.start(service)
    assert target.read_text() == "as it was"
    assert control.state(service) is ProcessState.STOPPED


def test_limits_are_those_of_the_service(control: PlainControl, service: Service) -> None:
    control.start(msgspec.structs.replace(service, open_files=123))
    pid = pid_of(control, service)
    eventually(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")
    assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (123, 123)
    assert resource.prlimit(pid, resource.RLIMIT_CORE) == (0, 0)


def test_core_dumps_are_allowed_when_the_service_says_so(control: PlainControl, service: Service) -> None:
    control.start(msgspec.structs.replace(service, core_dumps=True))
    pid = pid_of(control, service)
    eventually(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    assert resource.prlimit(pid, resource.RLIMIT_CORE) == (hard, hard)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_an_end_that_nobody_asked_for_is_a_crash(control: PlainControl, service: Service, end: signal.Signals) -> None:
    control.start(service)
    pid = pid_of(control, service)
    os.kill(pid, end)
    eventually(lambda: control.state(service) is not ProcessState.RUNNING)
    assert control.state(service) is ProcessState.CRASHED
    assert control.pid(service) is None
    assert not Path(f"/proc/{pid}").exists(), "a child of the agent stayed a zombie"
    control.start(service)
    assert control.state(service) is ProcessState.RUNNING


def test_a_program_that_ends_at_once_is_a_crash(control: PlainControl, service: Service) -> None:
    failing = msgspec.structs.replace(service, argv=["/usr/bin/false"])
    control.start(failing)
    eventually(lambda: control.state(failing) is ProcessState.CRASHED)


def test_a_stop_after_a_crash_forgets_it(control: PlainControl, service: Service) -> None:
    control.start(service)
    os.kill(pid_of(control, service), signal.SIGKILL)
    eventually(lambda: control.state(service) is ProcessState.CRASHED)
    control.stop(service, 10)
    assert control.state(service) is ProcessState.STOPPED


def test_an_agent_that_starts_again_finds_the_process(control: PlainControl, service: Service, tmp_path: Path) -> None:
    control.start(service)
    later = PlainControl(tmp_path / "run")
    assert later.state(service) is ProcessState.RUNNING
    assert later.pid(service) == control.pid(service)
    later.start(service)
    assert later.pid(service) == control.pid(service)
    later.stop(service, 10)
    assert later.state(service) is ProcessState.STOPPED


def test_the_process_survives_the_end_of_the_agent(service: Service, tmp_path: Path) -> None:
    start_from_another_agent(service, tmp_path, "")
    control = PlainControl(tmp_path / "run")
    assert control.state(service) is ProcessState.RUNNING
    pid = pid_of(control, service)
    control.stop(service, 10)
    assert procfs.look_up(pid) is None or procfs.look_up(pid).ended  # type: ignore[union-attr]


def test_a_start_that_the_agent_did_not_live_to_record_is_found(service: Service, tmp_path: Path) -> None:
    start_from_another_agent(
        service,
        tmp_path,
        "import msgspec.json, os; encode = msgspec.json.encode\n"
        "msgspec.json.encode = lambda record: os._exit(9) if record.process else encode(record)\n",
    )
    assert json.loads((tmp_path / "run" / "database.json").read_bytes())["process"] is None
    control = PlainControl(tmp_path / "run")
    eventually(lambda: control.state(service) is ProcessState.RUNNING)
    control.start(service)
    control.stop(service, 10)
    assert control.state(service) is ProcessState.STOPPED


def start_from_another_agent(service: Service, tmp_path: Path, preparation: str) -> None:
    code = (
        "from pathlib import Path\n"
        "from guestagent.system.plain import PlainControl\n"
        "from guestagent.system.processes import Service\n"
        f"{preparation}"
        f"service = Service('database', {list(service.argv)!r}, Path({str(service.log)!r}))\n"
        f"PlainControl(Path({str(tmp_path / 'run')!r})).start(service)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=not preparation, timeout=30)


def test_a_start_that_never_happened_is_no_crash(control: PlainControl, service: Service, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "database.json").write_text('{"process": null, "stopping": false}')
    elsewhere = msgspec.structs.replace(service, argv=["/usr/bin/sleep", "601.5"])
    assert control.state(elsewhere) is ProcessState.STOPPED


def test_an_id_that_another_process_has_now_is_not_the_service(
    control: PlainControl, service: Service, tmp_path: Path
) -> None:
    control.start(service)
    control.stop(service, 10)
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as stranger:
        try:
            found = procfs.look_up(stranger.pid)
            assert found is not None
            record = {"process": msgspec.structs.asdict(msgspec.structs.replace(found, started=found.started - 1))}
            (tmp_path / "run" / "database.json").write_text(json.dumps(record))
            assert control.state(service) is ProcessState.CRASHED
            assert control.pid(service) is None
            control.stop(service, 1)
            assert stranger.poll() is None, "a stop hit a process that only has the id"
        finally:
            stranger.kill()


def test_the_record_is_private(control: PlainControl, service: Service, tmp_path: Path) -> None:
    control.start(service)
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "run" / "database.json").stat().st_mode) == 0o600


def test_a_damaged_record_is_told_and_nothing_is_started(
    control: PlainControl, service: Service, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "database.json").write_text("")
    with pytest.raises(SystemFailure, match=r"database\.json"):
        control.start(service)


def test_the_stop_signal_is_the_services_own(control: PlainControl, service: Service) -> None:
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
    control.stop(polite, 10)
    assert service.log.read_text() == "ready\ninterrupted\n"


STUBBORN = """
    import signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("ready", flush=True)
    time.sleep(600)
"""


def test_a_process_that_does_not_end_is_reported_and_not_killed(control: PlainControl, service: Service) -> None:
    stubborn = program(service, STUBBORN)
    control.start(stubborn)
    eventually(lambda: "ready" in service.log.read_text())
    with pytest.raises(SystemFailure, match="not killed"):
        control.stop(stubborn, 0.2)
    assert control.state(stubborn) is ProcessState.RUNNING
    with pytest.raises(SystemFailure, match="asked to stop"):
        control.start(stubborn)
    os.kill(pid_of(control, stubborn), signal.SIGKILL)
    eventually(lambda: control.state(stubborn) is ProcessState.STOPPED)


def test_waiting_for_the_end_costs_no_processor_time(control: PlainControl, service: Service) -> None:
    stubborn = program(service, STUBBORN)
    control.start(stubborn)
    eventually(lambda: "ready" in service.log.read_text())
    before = time.thread_time()
    with pytest.raises(SystemFailure):
        control.stop(stubborn, 1)
    assert time.thread_time() - before < 0.2


@pytest.fixture
def stubborn(control: PlainControl, service: Service) -> Service:
    """A service that runs, and goes on when it is asked to stop."""
    made = program(service, STUBBORN)
    control.start(made)
    eventually(lambda: "ready" in service.log.read_text())
    return made


def test_a_stop_that_is_cancelled_ends_at_once_and_the_server_goes_on_stopping(
    control: PlainControl, stubborn: Service
) -> None:
    with cancelled_once():
        control.stop(stubborn, 60)
    assert control.state(stubborn) is ProcessState.RUNNING
    with pytest.raises(SystemFailure, match="asked to stop"):
        control.start(stubborn)
    os.kill(pid_of(control, stubborn), signal.SIGKILL)
    eventually(lambda: control.state(stubborn) is ProcessState.STOPPED)


def test_a_stop_ends_with_the_time_of_its_step(control: PlainControl, stubborn: Service) -> None:
    with timed_out_after(0.3, "stop the server"):
        control.stop(stubborn, 60)
    assert control.state(stubborn) is ProcessState.RUNNING


def test_a_stop_in_an_operation_that_goes_on_is_as_ever(control: PlainControl, service: Service) -> None:
    interruption = Interruption()
    with interruption.applied(), interruption.limited("stop the server", 30):
        control.start(service)
        control.stop(service, 10)
    assert control.state(service) is ProcessState.STOPPED


def test_stops_that_are_cancelled_leave_nothing_open(control: PlainControl, stubborn: Service) -> None:
    with nothing_adds_up(200):
        for _ in range(200):
            with cancelled_once():
                control.stop(stubborn, 60)


def test_a_stop_waits_for_the_children_too(control: PlainControl, service: Service, tmp_path: Path) -> None:
    mark = tmp_path / "child has ended"
    child = f"""
import pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(0.5)
pathlib.Path({str(mark)!r}).touch()
"""
    parent = program(
        service,
        f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(600)",
    )
    control.start(parent)
    eventually(lambda: "ready" in service.log.read_text())
    control.stop(parent, 10)
    assert mark.exists()


def test_a_stop_ends_what_a_crash_left_behind(control: PlainControl, service: Service) -> None:
    parent = program(
        service,
        "import subprocess, time; print(subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)",
    )
    control.start(parent)
    eventually(lambda: service.log.read_text().endswith("\n"))
    orphan = int(service.log.read_text())
    os.kill(pid_of(control, parent), signal.SIGKILL)
    eventually(lambda: control.state(parent) is ProcessState.CRASHED)
    assert procfs.look_up(orphan) is not None
    control.stop(parent, 10)
    left = procfs.look_up(orphan)
    assert left is None or left.ended


def test_a_program_that_is_not_there_is_told(control: PlainControl, service: Service) -> None:
    with pytest.raises(SystemFailure, match="there is no program /no/such/program"):
        control.start(msgspec.structs.replace(service, argv=["/no/such/program"]))
    assert control.state(service) is ProcessState.STOPPED


def test_an_account_that_is_not_there_is_told(control: PlainControl, service: Service) -> None:
    with pytest.raises(NotFound, match="nobody-at-all"):
        control.start(msgspec.structs.replace(service, user="nobody-at-all"))
    assert control.state(service) is ProcessState.STOPPED


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can switch accounts")
def test_root_starts_it_as_the_services_account(control: PlainControl, service: Service) -> None:
    control.start(msgspec.structs.replace(service, user="nobody"))
    pid = pid_of(control, service)
    assert Path(f"/proc/{pid}").stat().st_uid == service.log.stat().st_uid != 0
    groups = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("Groups:")]
    assert "0" not in groups[0].split()


@pytest.mark.skipif(os.geteuid() != 0, reason="whoever is not root has tested it all the time")
def test_an_agent_that_is_not_root_can_do_all_this() -> None:
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        os.chown(directory, nobody.pw_uid, nobody.pw_gid)
        child = os.fork()
        if child == 0:
            os.setgroups([])
            os.setresgid(nobody.pw_gid, nobody.pw_gid, nobody.pw_gid)
            os.setresuid(nobody.pw_uid, nobody.pw_uid, nobody.pw_uid)
            service = Service("database", ["/usr/bin/sleep", "600"], directory / "log", open_files=1 << 30)
            control = PlainControl(directory / "run")
            try:
                control.start(service)
                started = control.state(service) is ProcessState.RUNNING
                control.stop(service, 10)
                os._exit(0 if started and control.state(service) is ProcessState.STOPPED else 1)
            finally:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0
