"""Binary logs archived while a server is written to, and data as they were between two changes."""

import dataclasses
import datetime
import json
import secrets
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pymysql
import pytest

from guestagent.conformance.child import plain_environment, processes
from guestagent.conformance.conductor import Conductor
from guestagent.conformance.directories import reachable_directory
from guestagent.conformance.poll import eventually
from guestagent.conformance.ports import LOOPBACK
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import CallFailed, Wire, request_context
from guestagent.contract.operations import CodePath
from tests.functional.mariadb.backed_up import Instance
from tests.functional.mariadb.machine import FLAVOUR
from tests.support.backed_up import backup_info, completed
from tests.support.code_path import PATH
from tests.support.onlooker import Onlooker

WORDS = "SELECT GROUP_CONCAT(word ORDER BY id SEPARATOR ' ') FROM shop.said"
OTHER_KEY = "fedcba9876543210" * 4
CTL = (sys.executable, "-m", "guestagent.cmd.guestagentctl", "backups")
EMPTY = {
    "packages": "",
    "databases": [],
    "memory_mb": 512,
    "users": [],
    "config_contents": FLAVOUR,
    "ds_version": "10.11",
}
LIMIT = 200_000


@dataclasses.dataclass
class Past:
    """An instance that was backed up, and what has been said in it since.

    :ivar backup: what was reported of it.
    """

    instance: Instance
    directory: Path
    backup: dict[str, Any] = dataclasses.field(default_factory=dict)

    def say(self, *words: str) -> str:
        """Each word in a transaction of its own; the GTID of the last one."""
        for word in words:
            self.instance.sql("INSERT INTO said (word) VALUES (%s)", word)
        [(gtid,)] = self.instance.sql("SELECT @@gtid_binlog_pos")
        return str(gtid)

    def heard(self) -> str:
        """All that was said."""
        [(words,)] = self.instance.sql(WORDS)
        return str(words)

    def administrator(self) -> "pymysql.Connection[Any]":
        """A connection as the agent's own user."""
        cnf = self.instance.agent.state_dir / "mariadb-administrator.cnf"
        return pymysql.connect(read_default_file=str(cnf), autocommit=True, charset="utf8mb4")

    def archived_logs(self) -> str:
        """The GTID of the last change, when there are logs enough to miss one in their middle."""
        for _ in range(3):
            gtid = self.say("more")
            assert self.archive()["state"] == "good"
        return gtid

    def archive(self) -> dict[str, Any]:
        return self.own("archive_logs")

    def window(self) -> dict[str, Any]:
        found: dict[str, Any] = self.own("recovery_window")["window"]
        return found

    def own(self, method: str) -> dict[str, Any]:
        found: dict[str, Any] = self.instance.wire.call(self.instance.id, method, namespace="guestagent", timeout=60)
        return found

    def restart_agent(self, **options: object) -> None:
        """Start it with other options of ``[backup]``."""
        self.instance.agent.files["machine.conf"]["backup"].update(options)
        self.instance.agent.restart(self.instance.wire)

    def ctl(self, *typed: str, code: int = 0) -> str:
        done = subprocess.run(
            [*CTL, *typed, "--config-dir", str(self.instance.agent.config_dir)],
            env=plain_environment(self.instance.agent.directory),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def recovered(self, point: str, code: int = 0, backup: dict[str, Any] | None = None) -> str:
        """What was said until then, as a restored server knows it."""
        backup_id = (backup or self.backup)["backup_id"]
        roomy = self.directory / "r"
        roomy.mkdir(exist_ok=True)
        typed = ["restore-test", backup_id, "--query", WORDS, "--directory", str(roomy), "--to", point]
        said = self.ctl(*typed, code=code)
        assert list(roomy.iterdir()) == []
        return said.splitlines()[-1]

    def log(self, number: int) -> Path:
        """The directory of an archived log."""
        logs = self.instance.storage / "database_backups" / "_logs" / self.instance.id
        [found] = logs.glob(f"agent_binlog.{number:06}-*")
        return found


def archiving(
    directory: Path, number: str, broker: Rabbit, exchange: str, wire: Wire, conductor: Conductor
) -> Instance:
    made = Instance(directory / number, directory / "storage", broker, exchange, wire, conductor)
    groups = made.agent.files["machine.conf"]
    groups["image"]["archive_strategies"] = "mariadb_binlog"
    groups["mariadb"]["binary_log"] = True
    groups["backup"].update({"archive_purge_after": 0, "archive_keep_bytes": LIMIT})
    return made


@pytest.fixture(scope="module")
def world(rabbit: Rabbit) -> Iterator[tuple[Path, Rabbit, str, Wire, Conductor]]:
    """A place for instances, and a control plane."""
    rabbit.start()
    exchange = f"trove-{uuid.uuid4().hex[:8]}"
    with ExitStack() as stack:
        directory = stack.enter_context(reachable_directory())
        wire = stack.enter_context(Wire(rabbit, exchange))
        yield directory, rabbit, exchange, wire, stack.enter_context(Conductor(rabbit, exchange))


@pytest.fixture(scope="module")
def past(world: Any) -> Iterator[Past]:
    """An instance with a backup that knows one word; it archives when it is told to."""
    directory, *rest = world
    instance = archiving(directory, "1", *rest)
    try:
        made = Past(instance, directory)
        assert instance.prepare().method == "notify_end", instance.agent.tail()
        instance.sql("CREATE TABLE said (id INT AUTO_INCREMENT PRIMARY KEY, word LONGTEXT)")
        made.say("zero")
        made.backup = completed(instance.back_up())
        # What is archived from now on has a key of its own.
        instance.keys.write_text(f"second {OTHER_KEY}\n{instance.keys.read_text()}")
        yield made
    finally:
        instance.close()
        print(f"--- log of {instance.id}\n{instance.agent.tail(200)}")


def next_second(server: Instance) -> str:
    """The time, when the server's clock shows another second than a moment ago."""

    def now() -> int:
        [(seconds,)] = server.sql("SELECT UNIX_TIMESTAMP()")
        return int(seconds)

    begun = now()
    eventually(lambda: now() > begun)
    return datetime.datetime.fromtimestamp(begun + 1, datetime.UTC).isoformat()


def change_much(past: Past) -> None:
    """Have the server do what could be done otherwise the next time; the log is closed in the middle of it."""
    volume = Path(str(past.instance.agent.files["machine.conf"]["mariadb"]["mount_point"]))
    words = volume / "files" / "words.txt"
    words.write_text("read\nfrom a file\n")
    words.chmod(0o644)
    with past.administrator() as connection, connection.cursor() as cursor:
        for statement in (
            "CREATE USER late@'%' IDENTIFIED BY 'Hasty-7-breastie'",
            "GRANT SELECT ON shop.* TO late@'%'",
            f"LOAD DATA INFILE '{words}' INTO TABLE shop.said (word)",
            "CREATE TEMPORARY TABLE shop.passing SELECT 'from a temporary table' AS word",
            "CREATE PROCEDURE shop.repeat_it() BEGIN INSERT INTO said (word) SELECT word FROM said LIMIT 1; END",
        ):
            cursor.execute(statement)
        past.archive()
        for statement in (
            "INSERT INTO shop.said (word) SELECT word FROM shop.passing",
            "CALL shop.repeat_it()",
            "INSERT INTO shop.said (word) VALUES (UUID()), (RAND())",
            "CREATE TABLE shop.pictures SELECT UNHEX('000A0D1A275C22FF00') AS content",
            "CREATE TRIGGER shop.loud BEFORE INSERT ON shop.said FOR EACH ROW SET NEW.word = UPPER(NEW.word)",
            "INSERT INTO shop.said (word) VALUES ('shouted')",
            "DROP TRIGGER shop.loud",
        ):
            cursor.execute(statement)


def test_an_instance_begins_between_two_changes(past: Past, world: Any) -> None:
    first = past.instance
    past.say("one", "Zoë's 🐭", "\\'; DROP TABLE said; --")
    change_much(past)
    past.restart_agent(archive_interval=1)
    before = [first.checksum(table) for table in ("said", "pictures")]
    moment = next_second(first)
    gtid = past.say("two")
    eventually(lambda: past.window()["position"] == f"GTID {gtid}", timeout=60)
    past.restart_agent(archive_interval=0)
    past.say("three")
    assert past.archive()["state"] == "good"

    directory, *rest = world
    second = archiving(directory, "2", *rest)
    try:
        second.keys.write_text(first.keys.read_text())
        info = backup_info(past.backup) | {"recover_to": moment}
        with Onlooker() as seen:
            ended = second.prepare(databases=[], users=[], backup_info=info)
        assert ended.method == "notify_end", second.agent.tail()
        assert [second.checksum(table) for table in ("said", "pictures")] == before
        with pymysql.connect(host=LOOPBACK, port=second.port, user="late", password="Hasty-7-breastie") as late:
            assert late.open
        volume = Path(str(second.agent.files["machine.conf"]["mariadb"]["mount_point"]))
        position = json.loads((volume / "data" / "guestagent-position.json").read_text())
        [(now,)] = first.sql("SELECT @@gtid_binlog_pos")
        # It could follow the first one: "two" and "three" are missing.
        assert int(now.split("-")[2]) - int(position["gtid"].split("-")[2]) == 2
        assert second.conductor.statuses(second.id)[-1] == "healthy"
        for secret in (OTHER_KEY, "Aa1-"):
            assert secret not in second.agent.text()
            assert not [shown for shown in seen if secret.encode() in shown]
        assert [shown for shown in seen if b"opening.sql" in shown], "nobody was looked at"
    finally:
        second.close()
        print(f"--- log of {second.id}\n{second.agent.tail(100)}")


def test_a_gtid_is_the_last_change_and_what_is_outside_is_refused(past: Past) -> None:
    gtid = past.say("four")
    past.say("five")
    past.archive()
    assert past.recovered(gtid).endswith("four")
    _, line, _, last = past.ctl("window").splitlines()
    assert past.backup["backup_id"] in line
    window = json.loads(past.ctl("window", "--json"))
    assert window == past.window()
    assert window["position"] in last
    domain, server, number = gtid.split("-")
    for point in (f"{domain}-{server}-{int(number) + 99}", "2001-01-01T00:00:00Z"):
        assert f"not to {point.replace('Z', '+00:00')}" in past.recovered(point, code=1)


def test_a_store_that_is_away_is_said_and_loses_nothing(past: Past) -> None:
    storage = past.instance.storage
    away = storage.with_name("away")
    storage.rename(away)
    storage.write_text("no directory")
    try:
        past.say("six")
        assert past.archive()["state"] == "failing"
        past.say(secrets.token_hex(LIMIT))
        state = past.archive()
        assert (state["state"], state["waiting_logs"]) == ("limit", 2)
        assert state["waiting_bytes"] > LIMIT
        assert "CRITICAL" in past.instance.agent.text()
        assert past.own("get_status")["service_status"] == "healthy"
        assert past.own("recovery_window")["archiving"]["state"] == "limit"
    finally:
        storage.unlink()
        away.rename(storage)
    past.instance.sql("DELETE FROM said WHERE LENGTH(word) > 1000")
    gtid = past.say("seven")
    state = past.archive()
    assert (state["state"], state["waiting_logs"], state["error"]) == ("good", 0, None)
    assert past.window()["position"] == f"GTID {gtid}"


def test_a_window_that_cannot_be_seen_is_no_secret(past: Past) -> None:
    past.archived_logs()
    [manifest] = max(past.log(1).parent.iterdir()).glob("*.json")
    text = manifest.read_text()
    manifest.write_text("{")
    try:
        report = past.own("recovery_window")
    finally:
        manifest.write_text(text)
    assert (report["window"], report["archiving"]["state"]) == (None, "good")
    assert manifest.parent.name in report["error"]


def test_an_agent_that_is_killed_leaves_the_log_to_the_next_one(past: Past) -> None:
    past.archived_logs()
    past.restart_agent(bandwidth_limit=100_000)
    past.instance.sql("CREATE TABLE noise (content LONGTEXT)")
    for _ in range(4):
        past.instance.sql("INSERT INTO noise VALUES (%s)", secrets.token_hex(250_000))
    pending = past.instance.wire.begin(past.instance.id, "archive_logs", namespace="guestagent", timeout=60)
    logs = past.log(1).parent
    eventually(lambda: [path for path in logs.iterdir() if path.is_dir() and not list(path.glob("*.json"))], timeout=30)
    past.instance.agent.kill()
    assert not pending.answered
    past.instance.agent.files["machine.conf"]["backup"]["bandwidth_limit"] = 0
    past.instance.agent.boot(past.instance.wire)
    gtid = past.say("eight")
    assert past.archive()["state"] == "good"
    assert not [path for path in logs.iterdir() if not list(path.glob("*.json"))]
    assert past.recovered(gtid) == past.heard()


def test_what_is_archived_leaves_the_server(past: Past) -> None:
    past.archived_logs()
    data = Path(str(past.instance.agent.files["machine.conf"]["mariadb"]["mount_point"])) / "data"

    def only_the_present_one_is_left() -> bool:
        # The server keeps one that somebody still reads; the next run asks again.
        past.archive()
        return len(list(data.glob("agent_binlog.0*"))) == 1

    eventually(only_the_present_one_is_left, timeout=30)


def test_an_agent_that_is_killed_while_it_replays_leaves_nothing_that_would_start(past: Past, world: Any) -> None:
    gtid = past.archived_logs()
    directory, *rest = world
    fourth = archiving(directory, "4", *rest)
    volume = Path(str(fourth.agent.files["machine.conf"]["mariadb"]["mount_point"]))

    try:
        fourth.keys.write_text(past.instance.keys.read_text())
        fourth.wire.declare_guest(fourth.id)
        arguments = {**EMPTY, "backup_info": backup_info(past.backup) | {"recover_to": gtid}}
        context = request_context("trove.common.notification.DBaaSInstanceCreate")
        fourth.wire.cast(fourth.id, "prepare", arguments, version="1.1", context=context)
        fourth.agent.start()
        eventually((volume / ".backup-scratch" / "mariadb_binlog" / "s").exists, timeout=60)
        fourth.agent.kill()
        assert not (volume / "data").exists()
        eventually(lambda: not processes(volume), timeout=20)
        fourth.agent.boot(fourth.wire)
        ended = fourth.conductor.wait_for_method(fourth.id, "notify_end", "notify_exc_info", timeout=90)
        if PATH is CodePath.CONVERGENCE:
            assert ended.method == "notify_end"
            assert fourth.sql(WORDS) == ((past.heard(),),)
        else:
            assert ended.method == "notify_exc_info"
            assert not (volume / "data").exists()
            assert not list(volume.glob(".*unfinished*"))
    finally:
        fourth.close()
        print(f"--- log of {fourth.id}\n{fourth.agent.tail(100)}")


def test_a_dump_is_brought_forward_too(past: Past) -> None:
    past.instance.agent.files["machine.conf"]["image"]["backup_strategies"] = "mariadb_dump"
    past.restart_agent()
    dump = completed(past.instance.back_up())
    gtid = past.say("after the dump")
    assert past.archive()["state"] == "good"
    assert past.recovered(gtid, backup=dump) == past.heard()


def test_nobody_leaves_databases_out_of_the_log(past: Past) -> None:
    wire, guest = past.instance.wire, past.instance.id
    with pytest.raises(CallFailed, match="binlog_ignore_db"):
        wire.call(guest, "update_overrides", {"overrides": {"binlog_ignore_db": "shop"}})
    wire.call(guest, "stop_db", timeout=60)
    base = f"{FLAVOUR}\n[mysqld]\nbinlog_ignore_db = shop\n"
    wire.call(guest, "start_db_with_conf_changes", {"config_contents": base}, timeout=60)
    gtid = past.say("logged")
    assert past.archive()["state"] == "good"
    assert past.window()["position"] == f"GTID {gtid}"


@pytest.mark.parametrize("spoil", ["a damaged log", "another key", "a missing log"])
def test_a_log_that_cannot_be_used_ends_the_recovery(past: Past, spoil: str) -> None:
    gtid = past.archived_logs()
    log = past.log(2)
    kept = past.directory / "kept"
    shutil.copytree(log, kept)
    keys = past.instance.keys.read_text()
    words = {"a damaged log": "00000001", "another key": "'second'", "a missing log": log.name}[spoil]
    try:
        if spoil == "a damaged log":
            content = bytearray((log / "00000001").read_bytes())
            content[len(content) // 2] ^= 1
            (log / "00000001").write_bytes(content)
        elif spoil == "another key":
            past.instance.keys.write_text(keys.replace(OTHER_KEY, OTHER_KEY[::-1]))
        else:
            shutil.rmtree(log)
        said = past.recovered(gtid, code=1)
        assert words in said
        assert (log.name if spoil != "another key" else past.log(1).name) in said
    finally:
        shutil.rmtree(log, ignore_errors=True)
        shutil.move(kept, log)
        past.instance.keys.write_text(keys)


def test_an_instance_is_not_prepared_with_less_than_was_asked_for(past: Past, world: Any) -> None:
    gtid = past.archived_logs()
    log = past.log(2)
    shutil.move(log, past.directory / "kept")
    directory, *rest = world
    third = archiving(directory, "3", *rest)
    try:
        third.keys.write_text(past.instance.keys.read_text())
        third.agent.files["machine.conf"]["backup"]["recover_to"] = f"{past.backup['backup_id']} {gtid}"
        ended = third.prepare(databases=[], users=[], backup_info=backup_info(past.backup))
        assert ended.method == "notify_exc_info"
        assert log.name in ended.args["message"]
        third.conductor.wait_for_status(third.id, "failed to spawn")
        volume = Path(str(third.agent.files["machine.conf"]["mariadb"]["mount_point"]))
        assert not (volume / "data").exists()
        assert not list(volume.glob(".*unfinished*"))
    finally:
        third.close()
        shutil.move(past.directory / "kept", log)


def test_a_server_that_wrote_no_binary_log_for_a_while_has_a_gap(past: Past) -> None:
    past.say("nine")
    assert past.archive()["state"] == "good"
    assert gap(past) is None
    turn_binary_log(past, on=False)
    try:
        past.instance.sql("INSERT INTO said (word) VALUES ('unseen')")
        state = past.archive()
        assert state["state"] == "failing"
        assert "set [mariadb] binary_log" in state["error"]
    finally:
        turn_binary_log(past, on=True)
    past.say("ten")
    assert past.archive()["state"] == "good"
    assert "not in the store" in str(gap(past))


def gap(past: Past) -> str | None:
    """What is said to be missing behind the first backup."""
    [found] = [one["gap"] for one in past.window()["backups"] if one["id"] == past.backup["backup_id"]]
    return found


def turn_binary_log(past: Past, *, on: bool) -> None:
    past.instance.agent.files["machine.conf"]["mariadb"]["binary_log"] = on
    past.restart_agent()
    past.instance.wire.call(past.instance.id, "restart", timeout=60)
