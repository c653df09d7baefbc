"""Binary logs archived while a server is written to, and data as they were between two changes."""

import datetime
import json
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest

from guestagent.conformance.poll import eventually
from guestagent.conformance.ports import LOOPBACK
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import CallFailed
from tests.functional.mariadb.backed_up import Instance
from tests.functional.mariadb.machine import FLAVOUR
from tests.support.backed_up import backup_info, completed
from tests.support.onlooker import Onlooker
from tests.support.point_in_time import Past, damage, past_of

WORDS = "SELECT GROUP_CONCAT(word ORDER BY id SEPARATOR ' ') FROM shop.said"
OTHER_KEY = "fedcba9876543210" * 4
LIMIT = 200_000


class Words(Past[Instance]):
    """With binary logs."""

    strategy = "mariadb_binlog"
    query = WORDS
    replaying = ".backup-scratch/mariadb_binlog/s"

    def make(self) -> Instance:
        made = super().make()
        groups = made.agent.files["machine.conf"]
        groups["mariadb"]["binary_log"] = True
        groups["backup"]["archive_keep_bytes"] = LIMIT
        return made

    def say(self, *words: str) -> str:
        for word in words:
            self.instance.sql("INSERT INTO said (word) VALUES (%s)", word)
        [(gtid,)] = self.instance.sql("SELECT @@gtid_binlog_pos")
        return str(gtid)

    def heard(self, instance: Instance | None = None) -> str:
        [(words,)] = (instance or self.instance).sql(WORDS)
        return str(words)

    def administrator(self) -> "pymysql.Connection[Any]":
        """A connection as the agent's own user."""
        cnf = self.instance.agent.state_dir / "mariadb-administrator.cnf"
        return pymysql.connect(read_default_file=str(cnf), autocommit=True, charset="utf8mb4")

    def log(self, number: int) -> Path:
        """The directory of an archived log."""
        [found] = self.logs.glob(f"agent_binlog.{number:06}-*")
        return found


@pytest.fixture(scope="module")
def past(rabbit: Rabbit) -> Iterator[Words]:
    """An instance with a backup that knows one word; it archives when it is told to."""
    with past_of(rabbit, lambda world: Words(world, Instance)) as made:
        instance = made.instance
        assert instance.prepare().method == "notify_end", instance.agent.tail()
        instance.sql("CREATE TABLE said (id INT AUTO_INCREMENT PRIMARY KEY, word LONGTEXT)")
        made.say("zero")
        made.backup = completed(instance.back_up())
        # What is archived from now on has a key of its own.
        instance.keys.write_text(f"second {OTHER_KEY}\n{instance.keys.read_text()}")
        yield made


def next_second(server: Instance) -> str:
    """The time, when the server's clock shows another second than a moment ago."""

    def now() -> int:
        [(seconds,)] = server.sql("SELECT UNIX_TIMESTAMP()")
        return int(seconds)

    begun = now()
    eventually(lambda: now() > begun)
    return datetime.datetime.fromtimestamp(begun + 1, datetime.UTC).isoformat()


def change_much(past: Words) -> None:
    """Have the server do what could be done otherwise the next time; the log is closed in the middle of it."""
    volume = past.volume_of(past.instance)
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


def test_an_instance_begins_between_two_changes(past: Words) -> None:
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

    second = past.make()
    info = backup_info(past.backup) | {"recover_to": moment}
    with Onlooker() as seen:
        ended = second.prepare(databases=[], users=[], backup_info=info)
    assert ended.method == "notify_end", second.agent.tail()
    assert [second.checksum(table) for table in ("said", "pictures")] == before
    with pymysql.connect(host=LOOPBACK, port=second.port, user="late", password="Hasty-7-breastie") as late:
        assert late.open
    position = json.loads((past.volume_of(second) / "data" / "guestagent-position.json").read_text())
    [(now,)] = first.sql("SELECT @@gtid_binlog_pos")
    # It could follow the first one: "two" and "three" are missing.
    assert int(now.split("-")[2]) - int(position["gtid"].split("-")[2]) == 2
    assert second.conductor.statuses(second.id)[-1] == "healthy"
    for secret in (OTHER_KEY, "Aa1-"):
        assert secret not in second.agent.text()
        assert not [shown for shown in seen if secret.encode() in shown]
    assert [shown for shown in seen if b"opening.sql" in shown], "nobody was looked at"


def test_a_gtid_is_the_last_change_and_what_is_outside_is_refused(past: Words) -> None:
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


def test_a_store_that_is_away_is_said_and_loses_nothing(past: Words) -> None:
    with past.without_a_store():
        past.say("six")
        assert past.archive()["state"] == "failing"
        past.say(secrets.token_hex(LIMIT))
        state = past.archive()
        assert (state["state"], state["waiting_logs"]) == ("limit", 2)
        assert state["waiting_bytes"] > LIMIT
        assert "CRITICAL" in past.instance.agent.text()
        assert past.own("get_status")["service_status"] == "healthy"
        assert past.own("recovery_window")["archiving"]["state"] == "limit"
    past.instance.sql("DELETE FROM said WHERE LENGTH(word) > 1000")
    gtid = past.say("seven")
    state = past.archive()
    assert (state["state"], state["waiting_logs"], state["error"]) == ("good", 0, None)
    assert past.window()["position"] == f"GTID {gtid}"


def test_a_window_that_cannot_be_seen_is_no_secret(past: Words) -> None:
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


def test_an_agent_that_is_killed_leaves_the_log_to_the_next_one(past: Words) -> None:
    past.archived_logs()
    past.restart_agent(bandwidth_limit=100_000)
    past.instance.sql("CREATE TABLE noise (content LONGTEXT)")
    for _ in range(4):
        past.instance.sql("INSERT INTO noise VALUES (%s)", secrets.token_hex(250_000))
    pending = past.instance.wire.begin(past.instance.id, "archive_logs", namespace="guestagent", timeout=60)
    eventually(past.begun, timeout=30)
    past.instance.agent.kill()
    assert not pending.answered
    past.instance.agent.files["machine.conf"]["backup"]["bandwidth_limit"] = 0
    past.instance.agent.boot(past.instance.wire)
    gtid = past.say("eight")
    assert past.archive()["state"] == "good"
    assert past.begun() == []
    assert past.recovered(gtid) == past.heard()


def test_what_is_archived_leaves_the_server(past: Words) -> None:
    past.archived_logs()
    data = past.volume_of(past.instance) / "data"

    def only_the_present_one_is_left() -> bool:
        # The server keeps one that somebody still reads; the next run asks again.
        past.archive()
        return len(list(data.glob("agent_binlog.0*"))) == 1

    eventually(only_the_present_one_is_left, timeout=30)


def test_an_agent_that_is_killed_while_it_replays_leaves_nothing_that_would_start(past: Words) -> None:
    past.check_death_in_replay(past.backup, past.archived_logs())


def test_a_dump_is_brought_forward_too(past: Words) -> None:
    past.instance.agent.files["machine.conf"]["image"]["backup_strategies"] = "mariadb_dump"
    past.restart_agent()
    dump = completed(past.instance.back_up())
    gtid = past.say("after the dump")
    assert past.archive()["state"] == "good"
    assert past.recovered(gtid, backup=dump) == past.heard()


def test_nobody_leaves_databases_out_of_the_log(past: Words) -> None:
    wire, guest = past.instance.wire, past.instance.id
    with pytest.raises(CallFailed, match="binlog_ignore_db"):
        wire.call(guest, "update_overrides", {"overrides": {"binlog_ignore_db": "shop"}})
    wire.call(guest, "stop_db", timeout=60)
    base = f"{FLAVOUR}\n[mysqld]\nbinlog_ignore_db = shop\n"
    wire.call(guest, "start_db_with_conf_changes", {"config_contents": base}, timeout=60)
    gtid = past.say("logged")
    assert past.archive()["state"] == "good"
    assert past.window()["position"] == f"GTID {gtid}"


@pytest.mark.parametrize("spoil", [damage, shutil.rmtree], ids=["a damaged log", "a missing log"])
def test_a_log_that_cannot_be_used_ends_the_recovery(past: Words, spoil: Callable[[Path], None]) -> None:
    gtid = past.archived_logs()
    log = past.log(2)
    with past.without(log):
        spoil(log)
        assert log.name in past.recovered(gtid, code=1)


def test_a_log_whose_key_is_not_here_ends_the_recovery(past: Words) -> None:
    gtid = past.archived_logs()
    keys = past.instance.keys.read_text()
    past.instance.keys.write_text(keys.replace(OTHER_KEY, OTHER_KEY[::-1]))
    try:
        said = past.recovered(gtid, code=1)
    finally:
        past.instance.keys.write_text(keys)
    assert "'second'" in said
    assert past.log(1).name in said


def test_an_instance_is_not_prepared_with_less_than_was_asked_for(past: Words) -> None:
    gtid = past.archived_logs()
    log = past.log(2)
    third = past.make()
    third.agent.files["machine.conf"]["backup"]["recover_to"] = f"{past.backup['backup_id']} {gtid}"
    with past.without(log):
        shutil.rmtree(log)
        ended = third.prepare(databases=[], users=[], backup_info=backup_info(past.backup))
    assert ended.method == "notify_exc_info"
    assert log.name in ended.args["message"]
    third.conductor.wait_for_status(third.id, "failed to spawn")
    assert past.holds_nothing_that_would_start(third)


def test_a_server_that_wrote_no_binary_log_for_a_while_has_a_gap(past: Words) -> None:
    past.say("nine")
    assert past.archive()["state"] == "good"
    assert past.gap() is None
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
    assert "not in the store" in str(past.gap())


def turn_binary_log(past: Words, *, on: bool) -> None:
    past.instance.agent.files["machine.conf"]["mariadb"]["binary_log"] = on
    past.restart_agent()
    past.instance.wire.call(past.instance.id, "restart", timeout=60)
