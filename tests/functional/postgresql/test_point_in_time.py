"""Write-ahead log archived while a server is written to, and data as they were between two changes."""

import datetime
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pg8000.native import Connection

from guestagent.conformance.conductor import Conductor
from guestagent.conformance.directories import reachable_directory
from guestagent.conformance.ports import LOOPBACK
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire
from tests.functional.postgresql.backed_up import Instance
from tests.support.backed_up import backup_info, completed

WORDS = "SELECT string_agg(word, ' ' ORDER BY id) FROM said"


class Past:
    """An instance that was backed up, and what has been said in it since."""

    def __init__(self, directory: Path, broker: Rabbit, exchange: str, wire: Wire, conductor: Conductor) -> None:
        self._about = (broker, exchange, wire, conductor)
        self._directory = directory
        self._made: list[Instance] = []
        self.instance = self.make()

    def make(self) -> Instance:
        made = Instance(self._directory / str(len(self._made)), self._directory / "storage", *self._about)
        made.agent.files["machine.conf"]["image"]["archive_strategies"] = "postgresql_wal"
        self._made.append(made)
        return made

    def say(self, *words: str) -> str:
        """Each word in a transaction of its own; the LSN after the last one."""
        for word in words:
            self.instance.sql(f"INSERT INTO said (word) VALUES ('{word}')")
        [[lsn]] = self.instance.sql("SELECT CAST(pg_current_wal_insert_lsn() AS text)")
        return str(lsn)

    def own(self, method: str) -> dict[str, Any]:
        found: dict[str, Any] = self.instance.wire.call(self.instance.id, method, namespace="guestagent", timeout=90)
        return found

    def recovered(self, backup: dict[str, Any], point: str) -> str:
        """What was said until then, as an instance knows it that was prepared from the backup."""
        made = self.make()
        info = {**backup_info(backup), "recover_to": point}
        ended = made.prepare(databases=[], users=[], backup_info=info)
        assert ended.method == "notify_end", ended.args
        [[words]] = made.sql(WORDS)
        made.sql("INSERT INTO said (word) VALUES ('afterwards')")
        return str(words)

    def close(self) -> None:
        for instance in self._made:
            instance.close()
            # Shown by pytest beside a test that failed.
            print(f"--- log of {instance.id}\n{instance.agent.tail(60)}")


@pytest.fixture
def past(broker: Rabbit, exchange: str, wire: Wire, conductor: Conductor) -> Iterator[Past]:
    with reachable_directory() as directory:
        made = Past(directory, broker, exchange, wire, conductor)
        yield made
        made.close()


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat()


def test_a_backup_is_brought_forward_to_a_time_a_place_and_a_name(past: Past) -> None:
    first = past.instance
    assert first.prepare().method == "notify_end"
    first.sql("CREATE TABLE said (id serial, word text)")
    assert past.own("archive_logs")["state"] == "good"
    past.say("before")
    backup = completed(first.back_up())
    past.say("one")
    time.sleep(0.01)
    moment = now()
    place = past.say("two")
    past.say("three")
    root = first.wire.call(first.id, "enable_root")
    with Connection("postgres", host=LOOPBACK, port=first.port, password=root["_password"], database="shop") as admin:
        admin.run("SELECT pg_create_restore_point('here it was good')")
    past.say("four")
    state = past.own("archive_logs")
    assert (state["state"], state["waiting_logs"]) == ("good", 0), state
    window = past.own("recovery_window")["window"]
    assert window["backups"][0]["gap"] is None

    assert past.recovered(backup, moment) == "before one"
    assert past.recovered(backup, place) == "before one two"
    assert past.recovered(backup, "here it was good") == "before one two three"
