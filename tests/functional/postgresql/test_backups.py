"""Backups as the control plane asks for them: made, reported, and restored into another instance or aside."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guestagent.conformance.child import plain_environment
from guestagent.conformance.conductor import Conductor
from guestagent.conformance.directories import reachable_directory
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire
from tests.functional.postgresql.backed_up import Instance, NewerInstance
from tests.support.backed_up import ROWS, backup_info, completed

MakeInstance = Callable[..., Instance]


@pytest.fixture
def make_instance(broker: Rabbit, exchange: str, wire: Wire, conductor: Conductor) -> Iterator[MakeInstance]:
    made: list[Instance] = []
    with reachable_directory() as directory:
        storage = directory / "storage"

        def make(kind: type[Instance] = Instance) -> Instance:
            made.append(kind(directory / str(len(made)), storage, broker, exchange, wire, conductor))
            return made[-1]

        yield make
        for instance in made:
            instance.close()
            # Shown by pytest beside a test that failed.
            print(f"--- log of {instance.id}\n{instance.agent.tail(100)}")


def test_a_backup_is_made_told_and_restored_into_another_instance_and_aside(make_instance: MakeInstance) -> None:
    first = make_instance()
    assert first.prepare().method == "notify_end"
    first.fill("wares")
    found = completed(first.back_up())
    assert found["location"].startswith("local://database_backups/")
    assert found["size"] > 0

    volume = Path(str(first.agent.files["machine.conf"]["postgresql"]["mount_point"]))
    assert sorted(path.name for path in volume.iterdir()) == ["data"]
    assert not list((volume.parent / "config").glob("lent*"))
    [manifest] = first.storage.rglob("manifest.json")
    positions = json.loads(manifest.read_text())["positions"]
    assert set(positions) == {"start_lsn", "end_lsn", "timeline", "server_version"}

    aside = first.agent.directory.parent / "r"
    aside.mkdir(mode=0o755)
    argv = [sys.executable, "-m", "guestagent.cmd.guestagentctl", "backups", "restore-test", found["backup_id"]]
    query = "SELECT count(*), NULL FROM pg_database WHERE datname = 'shop'"
    options = ["--query", query, "--directory", str(aside), "--json", "--config-dir", str(first.agent.config_dir)]
    done = subprocess.run(
        [*argv, *options], env=plain_environment(first.agent.directory), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == [["1", None]]
    assert not list(aside.iterdir())

    second = make_instance()
    assert second.prepare(databases=[], users=[], backup_info=backup_info(found)).method == "notify_end"
    assert second.checksum("wares") == first.checksum("wares")
    assert second.sql("SELECT count(*) FROM wares") == [[ROWS]]
    assert second.conductor.statuses(second.id)[-1] == "healthy"
    page, _ = second.wire.call(second.id, "list_users", {"limit": 20})
    assert [(one["_name"], one["_databases"][0]["_name"]) for one in page] == [("app", "shop")]


def test_an_incremental_backup_is_refused_and_told(make_instance: MakeInstance) -> None:
    first = make_instance()
    first.prepare()
    full = completed(first.back_up())
    reports = first.back_up(full)
    assert [report.args.get("state") for report in reports] == ["BUILDING", "FAILED", None]
    assert "an incremental backup of PostgreSQL 15" in reports[-1].args["message"]


def test_a_chain_is_made_and_restored_into_another_instance(make_instance: MakeInstance) -> None:
    first = make_instance(NewerInstance)
    assert first.prepare().method == "notify_end"
    first.fill("wares")
    chain = [completed(first.back_up())]
    for table in ("more", "most"):
        first.fill(table)
        chain.append(completed(first.back_up(chain[-1])))
    first.sql("DROP TABLE wares")

    second = make_instance(NewerInstance)
    info = {**backup_info(chain[-1]), "type": "incremental"}
    assert second.prepare(databases=[], users=[], backup_info=info).method == "notify_end"
    assert [second.checksum(table) for table in ("wares", "more", "most")] == [first.checksum("most")] * 3
    assert second.conductor.statuses(second.id)[-1] == "healthy"

    # It goes on with backups of its own, and not with those of the other.
    [*_, refused] = second.back_up(chain[-1])
    assert "a backup builds on one of the same instance" in refused.args["message"]
    own = completed(second.back_up())
    second.sql("DROP TABLE more")
    completed(second.back_up(own))


def test_a_chain_goes_on_under_the_next_agent_and_asks_for_a_full_one_on_an_empty_volume(
    make_instance: MakeInstance,
) -> None:
    first = make_instance(NewerInstance)
    first.prepare()
    full = completed(first.back_up())
    first.agent.kill()
    first.agent.boot(first.wire)
    completed(first.back_up(full))

    volume = Path(str(first.agent.files["machine.conf"]["postgresql"]["mount_point"]))
    shutil.rmtree(volume / ".backup-lasting")
    reports = first.back_up(full)
    assert [report.args.get("state") for report in reports] == ["BUILDING", "FAILED", None]
    assert "make a full one" in reports[-1].args["message"]


def test_a_backup_that_cannot_be_read_fails_the_instance(make_instance: MakeInstance) -> None:
    first = make_instance()
    first.prepare()
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
    volume = Path(str(second.agent.files["machine.conf"]["postgresql"]["mount_point"]))
    assert list(volume.iterdir()) == []
