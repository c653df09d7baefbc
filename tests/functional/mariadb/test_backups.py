"""Backups as the control plane asks for them: made, reported, and restored into another instance."""

import contextlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from guestagent.conformance.code_path import PATH
from guestagent.conformance.conductor import Conductor
from guestagent.conformance.directories import reachable_directory
from guestagent.conformance.poll import eventually
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire, request_context
from guestagent.contract.operations import CodePath
from tests.functional.mariadb.backed_up import Instance
from tests.functional.mariadb.machine import FLAVOUR
from tests.support.backed_up import KEY, NOTIFICATION, backup_info, completed

MakeInstance = Callable[[], Instance]


@pytest.fixture
def make_instance(broker: Rabbit, exchange: str, wire: Wire, conductor: Conductor) -> Iterator[MakeInstance]:
    made: list[Instance] = []
    with reachable_directory() as directory:
        storage = directory / "storage"

        def make() -> Instance:
            made.append(Instance(directory / str(len(made)), storage, broker, exchange, wire, conductor))
            return made[-1]

        yield make
        for instance in made:
            instance.close()
            # Shown by pytest beside a test that failed.
            print(f"--- log of {instance.id}\n{instance.agent.tail(100)}")


def test_a_chain_of_incremental_backups_is_restored(make_instance: MakeInstance) -> None:
    first = make_instance()
    first.prepare()
    found, tables = None, []
    for number in range(3):
        tables.append(f"t{number}")
        first.fill(tables[-1])
        found = completed(first.back_up(found))
    assert found is not None
    second = make_instance()
    assert second.prepare(databases=[], users=[], backup_info=backup_info(found)).method == "notify_end"
    assert [second.checksum(table) for table in tables] == [first.checksum(table) for table in tables]


def test_a_backup_that_cannot_be_read_fails_the_instance(make_instance: MakeInstance, tmp_path: Path) -> None:
    first = make_instance()
    first.prepare()
    first.fill("wares")
    found = completed(first.back_up())
    [segment, *_] = sorted(first.storage.rglob("0000*"))
    spoiled = bytearray(segment.read_bytes())
    spoiled[len(spoiled) // 2] ^= 1
    segment.write_bytes(bytes(spoiled))

    second = make_instance()
    ended = second.prepare(databases=[], users=[], backup_info=backup_info(found))
    assert ended.method == "notify_exc_info"
    assert segment.name in ended.args["message"]
    second.conductor.wait_for_status(second.id, "failed to spawn")
    # It never starts empty, and nothing is left that would.
    volume = Path(str(second.agent.files["machine.conf"]["mariadb"]["mount_point"]))
    assert not (volume / "data").exists()
    assert not list(volume.glob(".*unfinished*"))


def test_a_backup_that_fails_is_told_and_leaves_nothing(make_instance: MakeInstance) -> None:
    first = make_instance()
    first.prepare()
    first.keys.write_text("no key at all\n")
    reports = first.back_up()
    assert [report.args.get("state") for report in reports] == ["BUILDING", "FAILED", None]
    assert reports[-1].method == "notify_exc_info"
    assert KEY not in first.agent.text()
    first.keys.write_text(f"first {KEY}\n")
    completed(first.back_up())


def test_progress_is_seen_and_a_backup_is_cancelled(make_instance: MakeInstance) -> None:
    first = make_instance()
    first.agent.files["machine.conf"]["backup"]["bandwidth_limit"] = 200_000
    first.prepare()
    first.fill("wares")
    info = {"id": str(uuid.uuid4()), "storage_driver": "local"}
    first.wire.cast(first.id, "create_backup", {"backup_info": info}, context=request_context(NOTIFICATION))

    def running() -> list[dict[str, Any]]:
        listed = first.wire.call(first.id, "operation_list", {"limit": 1}, namespace="guestagent")
        return [one for one in listed if one["call"] == "create_backup" and one["phase"] == "copy the data"]

    [operation] = eventually(running, timeout=30)
    eventually(lambda: any(one["percent"] > 100 / 3 for one in running()), timeout=30)
    first.wire.call(first.id, "operation_cancel", {"operation_id": operation["id"]}, namespace="guestagent")
    report = first.conductor.wait_for_method(first.id, "notify_exc_info", timeout=30)
    assert "was cancelled" in report.args["message"]
    volume = Path(str(first.agent.files["machine.conf"]["mariadb"]["mount_point"]))
    assert not (volume / ".backup-scratch").exists()
    assert not [path for path in first.storage.rglob("*") if path.is_file()]


def test_an_agent_that_is_killed_leaves_a_backup_to_the_next_one(make_instance: MakeInstance) -> None:
    first = make_instance()
    first.agent.files["machine.conf"]["backup"]["bandwidth_limit"] = 100_000
    first.prepare()
    first.fill("wares")
    info = {"id": str(uuid.uuid4()), "storage_driver": "local"}
    first.wire.cast(first.id, "create_backup", {"backup_info": info}, context=request_context(NOTIFICATION))
    eventually(lambda: _is_half_written(first.storage), timeout=30)
    first.agent.kill()
    heard = len(first.conductor.reports)
    assert not list(first.storage.rglob("manifest.json"))
    first.agent.files["machine.conf"]["backup"]["bandwidth_limit"] = 0
    first.agent.boot(first.wire)

    ended = first.conductor.wait_for_method(first.id, "notify_end", "notify_exc_info", timeout=90, after=heard)
    states = [one.args["state"] for one in first.conductor.reports[heard:] if one.method == "update_backup"]
    if PATH is CodePath.CONVERGENCE:
        assert ended.method == "notify_end"
        assert states[-1] == "COMPLETED"
        second = make_instance()
        found = first.conductor.of(first.id, "update_backup")[-1].args
        assert second.prepare(databases=[], users=[], backup_info=backup_info(dict(found))).method == "notify_end"
        assert second.checksum("wares") == first.checksum("wares")
    else:
        assert ended.method == "notify_exc_info"
        assert states == ["FAILED"]
        assert not [path for path in first.storage.rglob("*") if path.is_file()]


def _is_half_written(storage: Path) -> bool:
    # A finished segment of so small a backup is its last, and the backup ends at once.
    with contextlib.suppress(FileNotFoundError):
        return any(path.stat().st_size for path in storage.glob(".unfinished-*"))
    return False


def test_data_of_an_unusual_shape_are_restored(make_instance: MakeInstance) -> None:
    shape = f"{FLAVOUR}\n[mysqld]\ninnodb_page_size = 8k\ninnodb_data_file_path = system1:12M:autoextend\n"
    first, second = make_instance(), make_instance()
    assert first.prepare(config_contents=shape).method == "notify_end"
    first.fill("wares")
    full = completed(first.back_up())
    first.fill("more")
    found = completed(first.back_up(full))
    info = backup_info(found)
    assert second.prepare(databases=[], users=[], config_contents=shape, backup_info=info).method == "notify_end"
    for table in ("wares", "more"):
        assert second.checksum(table) == first.checksum(table)
