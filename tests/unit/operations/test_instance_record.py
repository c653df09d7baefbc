"""The instance's record: on disk before anybody hears of a change, and whole."""

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from guestagent.contract.errors import SystemFailure
from guestagent.contract.states import Phase, Wanted
from guestagent.operations.instance import Instance, InstanceRecord

CHANGED = {
    "phase": Phase.READY,
    "wanted": Wanted.RUNNING,
    "device_path": "/dev/vdb",
    "mount_point": "/var/lib/mysql",
    "datastore_version": "10.11",
    "read_only": True,
    "tls_mode": "enforced",
}


def test_a_new_machine_has_the_record_of_a_new_instance(tmp_path: Path) -> None:
    assert InstanceRecord(tmp_path).current == Instance()
    assert Instance().phase is Phase.NEW
    assert list(tmp_path.iterdir()) == [], "looking changes nothing"


def test_a_change_is_there_for_the_next_agent(tmp_path: Path) -> None:
    assert InstanceRecord(tmp_path).change(**CHANGED) == Instance(**CHANGED)  # type: ignore[arg-type]
    assert InstanceRecord(tmp_path).current == Instance(**CHANGED)  # type: ignore[arg-type]


def test_a_change_leaves_the_other_fields_as_they_are(tmp_path: Path) -> None:
    record = InstanceRecord(tmp_path)
    record.change(**CHANGED)
    record.change(read_only=False)
    assert InstanceRecord(tmp_path).current == Instance(**{**CHANGED, "read_only": False})  # type: ignore[arg-type]


def test_a_snapshot_does_not_change_under_its_reader(tmp_path: Path) -> None:
    record = InstanceRecord(tmp_path)
    before = record.current
    record.change(phase=Phase.READY)
    assert before.phase is Phase.NEW
    assert record.current.phase is Phase.READY


def test_the_file_is_for_the_agent_alone(tmp_path: Path) -> None:
    InstanceRecord(tmp_path).change(phase=Phase.READY)
    (written,) = tmp_path.iterdir()
    assert stat.S_IMODE(written.stat().st_mode) == 0o600


def test_an_unknown_field_changes_nothing(tmp_path: Path) -> None:
    record = InstanceRecord(tmp_path)
    record.change(phase=Phase.READY)
    with pytest.raises(TypeError):
        record.change(phase=Phase.FAILED, colour="red")
    assert record.current.phase is Phase.READY
    assert InstanceRecord(tmp_path).current.phase is Phase.READY


def test_a_change_that_cannot_be_written_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = InstanceRecord(tmp_path)
    record.change(phase=Phase.READY)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(SystemFailure, match="No space left"):
            record.change(phase=Phase.FAILED)
    assert record.current.phase is Phase.READY
    assert InstanceRecord(tmp_path).current.phase is Phase.READY
    assert len(list(tmp_path.iterdir())) == 1, "nothing unfinished is left"


def test_changes_of_several_threads_are_all_kept(tmp_path: Path) -> None:
    record = InstanceRecord(tmp_path)
    fields = ["device_path", "mount_point", "datastore_version", "tls_mode"]

    def change(field: str) -> None:
        for number in range(25):
            record.change(**{field: str(number)})

    with ThreadPoolExecutor(len(fields)) as threads:
        list(threads.map(change, fields))
    expected = Instance(device_path="24", mount_point="24", datastore_version="24", tls_mode="24")
    assert record.current == expected
    assert InstanceRecord(tmp_path).current == expected


def test_an_agent_that_is_killed_while_it_writes_leaves_a_whole_record(tmp_path: Path) -> None:
    code = """
import itertools, sys
from pathlib import Path
from guestagent.operations.instance import InstanceRecord
record = InstanceRecord(Path(sys.argv[1]))
for number in itertools.count():
    record.change(device_path="/dev/" + "x" * (number % 5000), mount_point="y" * (number % 5000))
    print(flush=True)
"""
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            for _ in range(20):
                assert writer.stdout.readline() == b"\n"
            writer.kill()
        found = InstanceRecord(tmp_path).current
        assert len(found.device_path or "") - len("/dev/") == len(found.mount_point or "")


def test_a_record_of_an_older_agent_has_the_defaults_of_what_it_does_not_know(tmp_path: Path) -> None:
    (tmp_path / "instance.json").write_text(json.dumps({"phase": "ready", "wanted": "running"}))
    assert InstanceRecord(tmp_path).current == Instance(phase=Phase.READY, wanted=Wanted.RUNNING)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"phase": "ready"', '{"phase": "flying"}', '{"phase": "ready", "read_only": "yes"}', "\0" * 50],
    ids=repr,
)
def test_a_damaged_record_is_named_and_never_guessed(tmp_path: Path, text: str) -> None:
    (tmp_path / "instance.json").write_text(text)
    with pytest.raises(SystemFailure, match=r"instance\.json"):
        InstanceRecord(tmp_path)


def test_a_record_of_a_newer_agent_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "instance.json").write_text(json.dumps({"phase": "ready", "role": "replica"}))
    assert InstanceRecord(tmp_path).current == Instance(phase=Phase.READY)
