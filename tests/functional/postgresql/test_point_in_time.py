"""Write-ahead log archived while a server is written to, and data as they were between two changes."""

import datetime
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pg8000.native import Connection

from guestagent.conformance.conductor import Report
from guestagent.conformance.poll import eventually
from guestagent.conformance.rabbit import Rabbit
from tests.functional.postgresql.backed_up import Instance, NewerInstance
from tests.support.backed_up import backup_info, completed
from tests.support.point_in_time import Past, damage, past_of

WORDS = "SELECT string_agg(word, ' ' ORDER BY id) FROM said"
LIMIT = 20 << 20
"""More than one file of the log has, and less than two."""
DAY = 24 * 3600


class Words(Past[Instance]):
    """With write-ahead log."""

    strategy = "postgresql_wal"
    query = f"\\c shop {WORDS}"
    replaying = ".backup-scratch/postgresql_wal/log"

    def make(self) -> Instance:
        made = super().make()
        # An agent that looks by itself, though not while the tests last, leaves it to the policy what the server keeps.
        made.agent.files["machine.conf"]["backup"] |= {"archive_keep_bytes": LIMIT, "archive_interval": DAY}
        return made

    def say(self, *words: str) -> str:
        return self.say_in(self.instance, *words)

    def say_in(self, instance: Instance, *words: str) -> str:
        """Say something in another instance."""
        for word in words:
            instance.sql(f"INSERT INTO said (word) VALUES ('{word}')")
        [[lsn]] = instance.sql("SELECT CAST(pg_current_wal_insert_lsn() AS text)")
        return str(lsn)

    def heard(self, instance: Instance | None = None) -> str:
        [[words]] = (instance or self.instance).sql(WORDS)
        return str(words)

    def administrate(self, *statements: str) -> list[list[Any]]:
        """What the server answers the agent's own role last."""
        options = self.instance.agent.files["machine.conf"]["postgresql"]
        socket = f"{options['socket_dir']}/.s.PGSQL.{options['port']}"
        with Connection("guestagent", unix_sock=socket, database="postgres") as connection:
            for statement in statements:
                found = connection.run(statement)
        return found or []

    def set(self, **overrides: object) -> None:
        """Have the running server take settings, beside those of every instance here."""
        # The flavour's would keep five files more.
        wanted = {"overrides": {"wal_keep_size": 0, **overrides}}
        for method in ("update_overrides", "apply_overrides"):
            self.instance.wire.call(self.instance.id, method, wanted, timeout=60)

    def file(self) -> Path:
        """The file that the server writes its log to now."""
        [[name]] = self.instance.sql("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
        return self.volume_of(self.instance) / "data" / "pg_wal" / str(name)

    def see_it_removed(self, path: Path) -> None:
        """Wait until the server has removed a file of its log: one checkpoint or the next."""

        def is_gone() -> bool:
            self.administrate("CHECKPOINT")
            return not path.exists()

        eventually(is_gone)

    def prepared_from(self, backup: dict[str, Any], point: str, **more: Any) -> tuple[Instance, Report]:
        """An instance that begins with what was until then, and how that ended."""
        made = self.make()
        info = {**backup_info(backup), "recover_to": point, **more}
        return made, made.prepare(databases=[], users=[], backup_info=info)

    def begun_with(self, backup: dict[str, Any], point: str, **more: Any) -> str:
        """What was said until then, as an instance knows it that begins with it and is written to."""
        made, ended = self.prepared_from(backup, point, **more)
        assert ended.method == "notify_end", made.agent.tail()
        found = self.heard(made)
        self.say_in(made, "afterwards")
        assert self.heard(made) == f"{found} afterwards"
        made.close()
        return found

    def said_at_a_time_a_place_and_a_name(self) -> tuple[str, str, str]:
        """Say "one", "two", "three" and "four", and what names the moments between them; all of it is archived."""
        self.say("one")
        moment = self.next_moment()
        place = self.say("two")
        self.say("three")
        self.administrate("SELECT pg_create_restore_point('here it was good')")
        self.say("four")
        assert (self.archive()["state"], self.gap()) == ("good", None)
        return moment, place, "here it was good"

    def next_moment(self) -> str:
        """The server's time: whatever was said is older, and whatever will be said is younger."""

        def now() -> datetime.datetime:
            [[moment]] = self.instance.sql("SELECT clock_timestamp()")
            return moment

        begun = now()
        return eventually(lambda: found if (found := now()) > begun else None).isoformat()


def opened(rabbit: Rabbit, kind: type[Instance]) -> Iterator[Words]:
    """An instance with a backup that knows one word; it archives when it is told to."""
    with past_of(rabbit, lambda world: Words(world, kind)) as made:
        instance = made.instance
        assert instance.prepare().method == "notify_end", instance.agent.tail()
        instance.sql("CREATE TABLE said (id serial, word text)")
        made.set()
        assert made.archive()["state"] == "good"
        made.say("before")
        made.backup = completed(instance.back_up())
        yield made


@pytest.fixture(scope="module")
def past(rabbit: Rabbit) -> Iterator[Words]:
    """With the server of the distribution."""
    yield from opened(rabbit, Instance)


@pytest.fixture(scope="module")
def newer(rabbit: Rabbit) -> Iterator[Words]:
    """With a server whose backups can build on each other."""
    yield from opened(rabbit, NewerInstance)


def test_a_backup_is_brought_forward_to_a_time_a_place_and_a_name(past: Words) -> None:
    moment, place, name = past.said_at_a_time_a_place_and_a_name()
    assert past.begun_with(past.backup, moment) == "before one"
    assert past.recovered(place) == "before one two"
    assert past.begun_with(past.backup, name) == "before one two three"


def test_an_increment_is_brought_forward_to_a_time_a_place_and_a_name(newer: Words) -> None:
    newer.say("after the full one")
    newer.archive()
    second = completed(newer.instance.back_up(newer.backup))
    early = newer.say("after the first increment")
    increment = completed(newer.instance.back_up(second))
    until_then = newer.heard()
    moment, place, name = newer.said_at_a_time_a_place_and_a_name()
    assert newer.begun_with(increment, moment, type="incremental") == f"{until_then} one"
    assert newer.recovered(place, backup=increment) == f"{until_then} one two"
    assert newer.recovered(name, backup=second) == f"{until_then} one two three"
    # What the increment has already cannot be left out any more.
    assert f"not to {early}" in newer.recovered(early, code=1, backup=increment)


@pytest.mark.parametrize(
    ("point", "problem"),
    [
        ("2001-01-01T00:00:00Z", "not to 2001-01-01T00:00:00"),
        ("2001-01-01T00:00:00", "it does not say of which zone"),
        ("x" * 64, "it is neither a time, nor an LSN"),
    ],
)
def test_what_is_no_point_or_outside_of_the_window_is_refused(past: Words, point: str, problem: str) -> None:
    assert problem in past.recovered(point, code=1)


@pytest.mark.parametrize(
    ("point", "problem"),
    [("FF/0", "not to FF/0"), ("nobody called it so", "before configured recovery target was reached")],
)
def test_a_point_that_cannot_be_reached_leaves_nothing_that_would_start(past: Words, point: str, problem: str) -> None:
    past.archived_logs()
    made, ended = past.prepared_from(past.backup, point)
    assert ended.method == "notify_exc_info"
    assert problem in ended.args["message"]
    made.conductor.wait_for_status(made.id, "failed to spawn")
    assert past.holds_nothing_that_would_start(made)
    made.close()


def test_a_recovered_instance_is_archived_and_recovered_itself(past: Words) -> None:
    """Its log goes on in a timeline of its own."""
    second, ended = past.prepared_from(past.backup, past.archived_logs())
    assert ended.method == "notify_end", second.agent.tail()
    assert second.wire.call(second.id, "archive_logs", namespace="guestagent", timeout=90)["state"] == "good"
    backup = completed(second.back_up())
    place = past.say_in(second, "in its second life")
    expected = past.heard(second)
    past.say_in(second, "and later")
    assert second.wire.call(second.id, "archive_logs", namespace="guestagent", timeout=90)["state"] == "good"
    assert past.begun_with(backup, place) == expected


def test_a_store_that_is_away_is_said_and_loses_nothing(past: Words) -> None:
    past.archived_logs()
    with past.without_a_store():
        past.say("six")
        held = [past.file()]
        assert past.archive()["state"] == "failing"
        past.say("seven")
        held.append(past.file())
        state = past.archive()
        assert (state["state"], state["waiting_logs"]) == ("limit", 2)
        assert state["waiting_bytes"] > LIMIT
        assert "CRITICAL" in past.instance.agent.text()
        past.administrate("CHECKPOINT")
        assert all(path.exists() for path in held)
        assert past.own("get_status")["service_status"] == "healthy"
        assert past.own("recovery_window")["archiving"]["state"] == "limit"
    place = past.say("eight")
    state = past.archive()
    assert (state["state"], state["waiting_logs"], state["error"]) == ("good", 0, None)
    assert past.recovered(place) == past.heard()


def test_what_is_archived_leaves_the_server(past: Words) -> None:
    path = past.file()
    past.archived_logs()
    past.see_it_removed(path)


def test_what_is_too_much_gives_way_where_that_is_the_policy_and_the_gap_is_told(past: Words) -> None:
    past.archived_logs()
    backup = completed(past.instance.back_up())
    before = past.archive()["dropped_logs"]
    past.restart_agent(archive_at_limit="drop")
    path = past.file()
    with past.without_a_store():
        for number in range(3):
            past.say(f"lost {number}")
            state = past.archive()
        assert (state["state"], state["waiting_logs"], state["dropped_logs"] - before) == ("limit", 1, 2)
        assert "1 logs were dropped unarchived" in past.instance.agent.text()
        past.see_it_removed(path)
    past.restart_agent(archive_at_limit="keep")
    past.say("behind the gap")
    assert past.archive()["state"] == "good"
    assert "not in the store" in str(past.gap(backup))
    again = completed(past.instance.back_up())
    place = past.say("and on")
    assert past.archive()["state"] == "good"
    assert past.recovered(place, backup=again) == past.heard()


def test_log_that_the_server_has_given_up_is_a_gap(past: Words) -> None:
    past.archived_logs()
    backup = completed(past.instance.back_up())
    past.set(max_slot_wal_keep_size="16MB")
    lost = "SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'guestagent_archive'"

    def is_lost() -> bool:
        past.say("given up")
        return past.administrate("SELECT pg_switch_wal()", "CHECKPOINT", lost) == [["lost"]]

    eventually(is_lost)
    assert past.archive()["state"] == "good"
    assert "removed log that was not archived" in past.instance.agent.text()
    past.say("seen again")
    assert past.archive()["state"] == "good"
    assert "not in the store" in str(past.gap(backup))
    past.set(max_slot_wal_keep_size=-1)


def test_an_agent_that_is_killed_leaves_the_log_to_the_next_one(past: Words) -> None:
    past.archived_logs()
    backup = completed(past.instance.back_up())
    past.restart_agent(bandwidth_limit=100_000)
    noise = "SELECT string_agg(md5(random()::text), '') AS content FROM generate_series(1, 40000)"
    past.instance.sql(f"CREATE TABLE IF NOT EXISTS noise AS {noise}")
    pending = past.instance.wire.begin(past.instance.id, "archive_logs", namespace="guestagent", timeout=60)
    eventually(past.begun, timeout=30)
    past.instance.agent.kill()
    assert not pending.answered
    past.instance.agent.files["machine.conf"]["backup"]["bandwidth_limit"] = 0
    past.instance.agent.boot(past.instance.wire)
    place = past.say("survived")
    assert past.archive()["state"] == "good"
    assert past.begun() == []
    assert past.recovered(place, backup=backup) == past.heard()


def test_an_agent_that_is_killed_while_it_replays_leaves_nothing_that_would_start(past: Words) -> None:
    past.check_death_in_replay(completed(past.instance.back_up()), past.archived_logs())


@pytest.mark.parametrize("spoil", [damage, shutil.rmtree], ids=["a damaged log", "a missing log"])
def test_a_log_that_cannot_be_used_ends_the_recovery(past: Words, spoil: Callable[[Path], None]) -> None:
    backup = completed(past.instance.back_up())
    place = past.archived_logs()
    log = sorted(path for path in past.logs.iterdir() if path.is_dir())[-2]
    with past.without(log):
        spoil(log)
        assert log.name in past.recovered(place, code=1, backup=backup)
