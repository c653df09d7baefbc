"""The instance's record: on disk before anybody hears of a change, and whole."""

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from guestagent.contract.errors import SystemFailure
from guestagent.contract.operations import CodePath
from guestagent.contract.states import Phase, Role, Wanted
from guestagent.operations.instance import Instance, InstanceRecord
from guestagent.operations.store import Store
from tests.unit.storage.full_disk import full_disk

CHANGED = {
    "phase": Phase.READY,
    "wanted": Wanted.RUNNING,
    "role": Role.REPLICA,
    "code_path": CodePath.CONVERGENCE,
    "plugin": "guest-alpha 1.0",
    "device_path": "/dev/vdb",
    "mount_point": "/var/lib/testdb",
    "datastore_version": "10.11",
    "read_only": True,
    "tls_mode": "enforced",
}


@pytest.fixture
def open_record(open_store: Callable[[], Store]) -> Callable[[], InstanceRecord]:
    """The record as an agent finds it that starts now."""
    return lambda: InstanceRecord(open_store())


def written(store: Store, text: str) -> None:
    """Put a text where the record is."""
    with store.change() as connection:
        connection.execute("INSERT OR REPLACE INTO instance (only, record) VALUES (1, ?)", (text,))


def test_a_new_machine_has_the_record_of_a_new_instance(store: Store) -> None:
    assert InstanceRecord(store).current == Instance()
    assert Instance().phase is Phase.NEW
    assert Instance().code_path is None
    assert store.fetch("SELECT * FROM instance") == [], "looking changes nothing"


def test_a_change_is_there_for_the_next_agent(open_record: Callable[[], InstanceRecord]) -> None:
    assert open_record().change(**CHANGED) == Instance(**CHANGED)  # type: ignore[arg-type]
    assert open_record().current == Instance(**CHANGED)  # type: ignore[arg-type]


def test_a_change_leaves_the_other_fields_as_they_are(open_record: Callable[[], InstanceRecord]) -> None:
    record = open_record()
    record.change(**CHANGED)
    record.change(read_only=False)
    assert open_record().current == Instance(**{**CHANGED, "read_only": False})  # type: ignore[arg-type]


def test_a_snapshot_does_not_change_under_its_reader(store: Store) -> None:
    record = InstanceRecord(store)
    before = record.current
    record.change(phase=Phase.READY)
    assert before.phase is Phase.NEW
    assert record.current.phase is Phase.READY


def test_there_is_one_record_however_often_it_changes(store: Store) -> None:
    record = InstanceRecord(store)
    for number in range(5):
        record.change(device_path=f"/dev/vd{number}")
    assert len(store.fetch("SELECT * FROM instance")) == 1


def test_an_unknown_field_changes_nothing(open_record: Callable[[], InstanceRecord]) -> None:
    record = open_record()
    record.change(phase=Phase.READY)
    with pytest.raises(TypeError):
        record.change(phase=Phase.FAILED, colour="red")
    assert record.current.phase is Phase.READY
    assert open_record().current.phase is Phase.READY


def test_a_change_that_cannot_be_written_is_none(open_record: Callable[[], InstanceRecord]) -> None:
    record = open_record()
    record.change(phase=Phase.READY)
    with full_disk(), pytest.raises(SystemFailure, match=r"Writing .*journal\.db"):
        record.change(phase=Phase.FAILED)
    assert record.current.phase is Phase.READY
    assert open_record().current.phase is Phase.READY
    record.change(wanted=Wanted.RUNNING)
    assert open_record().current == Instance(phase=Phase.READY, wanted=Wanted.RUNNING)


def test_changes_of_several_threads_are_all_kept(open_record: Callable[[], InstanceRecord]) -> None:
    record = open_record()
    fields = ["device_path", "mount_point", "datastore_version", "tls_mode"]

    def change(field: str) -> None:
        for number in range(25):
            record.change(**{field: str(number)})

    with ThreadPoolExecutor(len(fields)) as threads:
        list(threads.map(change, fields))
    expected = Instance(device_path="24", mount_point="24", datastore_version="24", tls_mode="24")
    assert record.current == expected
    assert open_record().current == expected


def test_an_agent_that_is_killed_while_it_writes_leaves_a_whole_record(
    open_record: Callable[[], InstanceRecord], tmp_path: Path
) -> None:
    code = """
import itertools, sys
from pathlib import Path
from guestagent.operations.instance import InstanceRecord
from guestagent.operations.store import Store
record = InstanceRecord(Store(Path(sys.argv[1])))
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
        found = open_record().current
        assert len(found.device_path or "") - len("/dev/") == len(found.mount_point or "") >= 19


def test_a_record_of_an_older_agent_has_the_defaults_of_what_it_does_not_know(store: Store) -> None:
    written(store, json.dumps({"phase": "ready", "wanted": "running"}))
    assert InstanceRecord(store).current == Instance(phase=Phase.READY, wanted=Wanted.RUNNING)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"phase": "ready"', '{"phase": "flying"}', '{"phase": "ready", "read_only": "yes"}', "\0" * 50],
    ids=repr,
)
def test_a_damaged_record_is_named_and_never_guessed(store: Store, text: str) -> None:
    written(store, text)
    with pytest.raises(SystemFailure, match=r"record in .*journal\.db"):
        InstanceRecord(store)


def test_a_record_of_a_newer_agent_can_be_read(store: Store) -> None:
    written(store, json.dumps({"phase": "ready", "colour": "red"}))
    assert InstanceRecord(store).current == Instance(phase=Phase.READY)
