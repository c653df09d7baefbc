"""``guestagentctl backups`` on backups of a real server."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guestagent.conformance.child import plain_environment, processes
from guestagent.conformance.conductor import Conductor
from guestagent.conformance.directories import reachable_directory
from guestagent.conformance.poll import eventually
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire
from tests.functional.mariadb.backed_up import Instance
from tests.functional.mariadb.machine import FLAVOUR
from tests.support.backed_up import ROWS, completed

COUNT = "SELECT COUNT(*), MIN(words) FROM shop.wares WHERE words LIKE '%story'"


def ctl_json(instance: Instance, *typed: str) -> Any:
    return json.loads(instance.ctl(*typed, "--json"))


def segment(instance: Instance, backup_id: str) -> Path:
    return instance.storage / "database_backups" / backup_id / "00000001"


@pytest.fixture
def instance(
    request: pytest.FixtureRequest, broker: Rabbit, exchange: str, wire: Wire, conductor: Conductor
) -> Iterator[Instance]:
    """An instance with a table; a parameter is the strategy of its backups, and more of its configuration."""
    strategy, more = getattr(request, "param", ("mariabackup", ""))
    with reachable_directory() as directory:
        made = Instance(directory / "1", directory / "storage", broker, exchange, wire, conductor)
        made.agent.files["machine.conf"]["image"]["backup_strategies"] = strategy
        try:
            assert made.prepare(config_contents=FLAVOUR + more).method == "notify_end"
            made.fill("wares")
            yield made
        finally:
            made.close()
            # Shown by pytest beside a test that failed.
            print(f"--- log of {made.id}\n{made.agent.tail(100)}")


@pytest.fixture
def roomy(instance: Instance) -> Path:
    """Where a backup is restored aside."""
    directory = instance.agent.directory.parent / "r"
    directory.mkdir(mode=0o755)
    return directory


def test_backups_are_listed_verified_pinned_and_pruned(instance: Instance) -> None:
    first = completed(instance.back_up())
    second = completed(instance.back_up(first))
    third = completed(instance.back_up())
    ids = [one["backup_id"] for one in (first, second, third)]

    found = ctl_json(instance, "list")
    assert [one["id"] for one in found] == ids
    assert [one["kind"] for one in found] == ["full", "incremental", "full"]
    assert found[1]["parent"] == ids[0]
    assert {one["key_id"] for one in found} == {"first"}
    assert {one["instance_id"] for one in found} == {instance.id}

    assert instance.ctl("verify", "--all").count("  good  ") == 3
    spoiled = bytearray(segment(instance, ids[0]).read_bytes())
    spoiled[len(spoiled) // 2] ^= 1
    good = segment(instance, ids[0]).read_bytes()
    segment(instance, ids[0]).write_bytes(spoiled)
    said = instance.ctl("verify", "--all", code=1).splitlines()
    assert [line.split()[:2] for line in said[:3]] == [[ids[0], "bad"], [ids[1], "bad"], [ids[2], "good"]]
    assert f"2 of 3 backups cannot be restored as they are: {ids[0]}, {ids[1]}" in said[3]
    segment(instance, ids[0]).write_bytes(good)

    instance.ctl("pin", ids[1], "--why", "the audit")
    assert [one["keep"] for one in ctl_json(instance, "prune", "--keep", "1", "--apply")] == [True, True, True]
    assert "pinned" in instance.ctl("delete", ids[1], code=1)
    instance.ctl("unpin", ids[1])
    assert "2 of 3 backups" in instance.ctl("prune", "--keep", "1")
    assert len(ctl_json(instance, "list")) == 3
    assert "removed 2 of 3 backups" in instance.ctl("prune", "--keep", "1", "--apply")
    assert [one["id"] for one in ctl_json(instance, "list")] == [ids[2]]
    assert instance.ctl("verify", ids[2]).count("  good  ") == 1

    # The chain that the agent goes on with is the one that is left.
    fourth = completed(instance.back_up(third))
    assert instance.ctl("verify", fourth["backup_id"]).count("  good  ") == 1


def test_a_backup_is_restored_aside_and_asked(instance: Instance, roomy: Path) -> None:
    first = completed(instance.back_up())
    instance.sql("UPDATE wares SET words = 'a new story'")
    second = completed(instance.back_up(first))
    instance.sql("DELETE FROM wares")

    found = ctl_json(instance, "restore-test", first["backup_id"], "--query", COUNT, "--directory", str(roomy))
    assert found["rows"] == [[str(ROWS), "the same old 0 story"]]
    said = instance.ctl("restore-test", second["backup_id"], "--query", COUNT, "--directory", str(roomy))
    assert said.splitlines()[-1].split("  ") == [str(ROWS), "a new story"]
    # Nothing is left of it, and the instance is as it was.
    assert list(roomy.iterdir()) == []
    assert processes(roomy) == []
    assert instance.sql("SELECT COUNT(*) FROM wares") == ((0,),)
    completed(instance.back_up(second))


FOLDED = "[mysqld]\nlower_case_table_names = 1\n"


@pytest.mark.parametrize(
    ("instance", "query"),
    [
        (("mariabackup", FOLDED), COUNT.replace("shop.wares", "SHOP.Wares")),
        (("mariadb_dump", ""), COUNT),
    ],
    indirect=["instance"],
    ids=["names without case", "a dump"],
)
def test_whatever_the_data_are_made_of_is_restored_aside(instance: Instance, roomy: Path, query: str) -> None:
    found = completed(instance.back_up())["backup_id"]
    answer = ctl_json(instance, "restore-test", found, "--query", query, "--directory", str(roomy))
    assert answer["rows"] == [[str(ROWS), "the same old 0 story"]]
    assert list(roomy.iterdir()) == []
    assert processes(roomy) == []


def test_a_restore_test_that_fails_says_why_and_leaves_nothing(instance: Instance, roomy: Path) -> None:
    found = completed(instance.back_up())["backup_id"]
    where = ["--directory", str(roomy)]
    said = instance.ctl("restore-test", found, "--query", "SELECT nothing FROM nowhere.at_all", *where, code=1)
    assert "nowhere" in said
    content = bytearray(segment(instance, found).read_bytes())
    content[len(content) // 2] ^= 1
    segment(instance, found).write_bytes(content)
    assert "00000001" in instance.ctl("restore-test", found, "--query", COUNT, *where, code=1)
    assert "no backup at" in instance.ctl("restore-test", "none", "--query", COUNT, *where, code=1)
    assert "/nonexistent" in instance.ctl(
        "restore-test", found, "--query", COUNT, "--directory", "/nonexistent", code=1
    )
    assert list(roomy.iterdir()) == []
    assert processes(roomy) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="one account sees its own")
def test_nobody_else_reaches_the_scratch_server(instance: Instance, roomy: Path) -> None:
    found = completed(instance.back_up())["backup_id"]
    rows = ctl_json(
        instance,
        "restore-test",
        found,
        "--query",
        "SELECT @@skip_networking, @@socket, @@datadir, @@innodb_buffer_pool_size",
        "--directory",
        str(roomy),
    )["rows"]
    [[networking, socket, data, memory]] = rows
    assert networking == "1"
    assert Path(socket).is_relative_to(roomy)
    assert Path(data).is_relative_to(roomy)
    assert memory == str(64 << 20)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_restore_test_that_is_ended_leaves_nothing(instance: Instance, roomy: Path, number: signal.Signals) -> None:
    found = completed(instance.back_up())["backup_id"]
    # It is asked when its table is there.
    asleep = "CREATE TABLE mysql.asked SELECT SLEEP(300)"
    query = ["--query", asleep, "--directory", str(roomy)]
    with subprocess.Popen(
        instance.ctl_argv("restore-test", found, *query), env=plain_environment(instance.agent.directory)
    ) as process:
        eventually(lambda: list(roomy.rglob("asked.frm")), timeout=60)
        process.send_signal(number)
        assert process.wait(30) == 130
    assert list(roomy.iterdir()) == []
    eventually(lambda: not processes(roomy), timeout=10)
