"""What is written into a unit; that systemd reads it so is tested where a systemd runs."""

from pathlib import Path

import msgspec
import pytest

from guestagent.contract.errors import InvalidValue, SystemFailure
from guestagent.system import systemd
from guestagent.system.processes import Service

SERVICE = Service(name="database", argv=["/usr/sbin/server", "--datadir=/data"], log=Path("/var/log/server.log"))


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("plain", '"plain"'),
        ("", '""'),
        ("two words", '"two words"'),
        ('say "hello"', r'"say \"hello\""'),
        ("back\\slash", r'"back\\slash"'),
        ("100%n", '"100%%n"'),
        ("$HOME", '"$HOME"'),
        ("new\nline\ttab\x7f", r'"new\x0aline\x09tab\x7f"'),
        (";", '";"'),
        ("Größe", '"Größe"'),
    ],
)
def test_words_are_quoted(word: str, written: str) -> None:
    assert systemd.quote(word) == written


@pytest.mark.parametrize("word", ["a\0b", "\udcff"])
def test_a_word_that_no_unit_can_hold_is_refused(word: str) -> None:
    with pytest.raises(InvalidValue):
        systemd.quote(word)


def settings(service: Service) -> dict[str, str]:
    lines = systemd.unit(service).splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def test_a_unit_says_what_the_service_says() -> None:
    said = settings(msgspec.structs.replace(SERVICE, user="testdb", stop_signal=2, open_files=123))
    assert said["ExecStart"] == '":/usr/sbin/server" "--datadir=/data"'
    assert said["User"] == "testdb"
    assert said["KillSignal"] == "SIGINT"
    assert said["LimitNOFILE"] == "123"
    assert said["LimitCORE"] == "0"
    assert said["StandardOutput"] == "append:/var/log/server.log"
    assert said["TimeoutStopSec"] == "infinity"


def test_a_service_without_an_account_runs_as_the_agent_does() -> None:
    assert "User" not in settings(SERVICE)


def test_core_dumps_are_allowed_when_the_service_says_so() -> None:
    assert settings(msgspec.structs.replace(SERVICE, core_dumps=True))["LimitCORE"] == "infinity"


@pytest.mark.parametrize("value", ["a\nExecStartPre=/bin/id", "a b", "a\\", "", "a\x1b"])
def test_no_value_can_end_its_line(value: str) -> None:
    with pytest.raises(InvalidValue):
        systemd.unit(msgspec.structs.replace(SERVICE, user=value))
    with pytest.raises(InvalidValue):
        systemd.unit(msgspec.structs.replace(SERVICE, log=Path(f"/{value}\n")))


def test_percent_signs_of_paths_are_no_specifiers() -> None:
    assert settings(msgspec.structs.replace(SERVICE, log=Path("/log/%n")))["StandardOutput"] == "append:/log/%%n"


@pytest.mark.parametrize("character", ['"', "'", "\\", "\n"])
def test_a_program_that_systemd_would_not_run_is_refused(character: str) -> None:
    with pytest.raises(InvalidValue):
        systemd.unit(msgspec.structs.replace(SERVICE, argv=[f"/opt/odd{character}/server"]))


def test_a_machine_without_systemd_is_told_what_to_set(tmp_path: Path) -> None:
    control = systemd.SystemdControl(tmp_path / "missing")
    for ask in (control.start, control.state, control.pid, lambda service: control.stop(service, 1)):
        with pytest.raises(SystemFailure, match="process_control = plain"):
            ask(SERVICE)
