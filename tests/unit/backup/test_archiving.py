"""Logs on their way into a store: what is there, what waits, and what is given up."""

import time
from pathlib import Path

import msgspec
import pytest
from oslo_config import cfg

from guestagent.backup.archive import Log
from guestagent.backup.log_store import LogMissing, LogStore
from guestagent.backup.manifest import ManifestInvalid
from guestagent.contract.errors import InvalidValue
from guestagent.system import volume
from tests.unit.backup.ledger import Desk, desk
from tests.unit.backup.streams import CONTAINER, CONTEXT, Shaky, objects


@pytest.fixture
def desk_(conf: cfg.ConfigOpts, storage: Shaky, tmp_path: Path, promptly: None) -> Desk:
    return desk(conf, storage, tmp_path)


def test_what_is_closed_is_archived_and_the_present_log_is_closed_for_it(desk_: Desk) -> None:
    desk_.writer.say("one", "two")
    desk_.writer.begin()
    desk_.writer.say("three")
    state = desk_.archive()
    assert desk_.archived() == ["one", "two", "three"]
    assert (state.state, state.waiting_logs, state.waiting_bytes, state.error) == ("good", 0, 0, None)
    assert state.archived == state.checked
    assert state.checked == pytest.approx(time.time(), abs=60)


def test_nothing_new_touches_neither_the_store_nor_the_server(desk_: Desk, storage: Shaky) -> None:
    desk_.writer.say("one")
    desk_.archive()
    before, files = objects(storage), desk_.writer.files
    storage.list = storage.get = storage.put = None  # type: ignore[assignment]
    assert desk_.archive().state == "good"
    del storage.list, storage.get, storage.put
    assert (objects(storage), desk_.writer.files) == (before, files)


def test_an_agent_that_forgot_everything_archives_nothing_twice(desk_: Desk, storage: Shaky) -> None:
    # What is encrypted once more is something else.
    desk_.conf.set_override("encryption_keys", ["first:" + "ab" * 32], "backup")
    desk_.writer.say("one")
    desk_.archive()
    before = objects(storage)
    desk_.state = type(desk_.state)()
    desk_.writer.say("two")
    desk_.archive()
    assert {name: content for name, content in objects(storage).items() if name in before} == before
    assert desk_.archived() == ["one", "two"]


@pytest.mark.parametrize("left", [[], ["00000001"], ["00000001", "00000002", "00000003"]])
def test_half_an_upload_is_no_archived_log(desk_: Desk, storage: Shaky, left: list[str]) -> None:
    desk_.writer.say("one")
    [name] = [f"{path.name}-{path.read_text().split()[0]}" for path in desk_.writer.files]
    for text in left:
        storage.put(CONTEXT, CONTAINER, f"{desk_.store.id_of(name)}/{text}", [b"torn"])
    assert not desk_.store.has(name)
    desk_.archive()
    assert desk_.archived() == ["one"]
    # Nothing of it is left beside the log.
    assert [text.rpartition("/")[2] for text in objects(storage)] == ["00000001", "log.002-1012.json"]


def test_what_was_begun_can_be_cleared_and_what_is_whole_stays(desk_: Desk, storage: Shaky) -> None:
    desk_.writer.say("one")
    desk_.archive()
    whole = objects(storage)
    for name in ("log.002-1012", "log.003-1024"):
        storage.put(CONTEXT, CONTAINER, f"{desk_.store.id_of(name)}/00000001", [b"torn"])
    for _ in range(2):
        desk_.store.clear_begun()
        assert objects(storage) == whole


def test_a_store_that_is_away_loses_nothing(desk_: Desk, storage: Shaky) -> None:
    desk_.writer.say("one")
    storage.refusals = 1000
    away = desk_.archive()
    assert (away.state, away.waiting_logs, away.archived) == ("failing", 1, None)
    assert away.waiting_bytes > 0
    assert "the network is away" in str(away.error)
    desk_.writer.say("two")
    assert desk_.archive().waiting_logs == 2
    storage.refusals = 0
    back = desk_.archive()
    assert (back.state, back.waiting_logs, back.error) == ("good", 0, None)
    assert desk_.archived() == ["one", "two"]


def test_a_server_that_is_down_is_said_and_what_waited_still_waits(desk_: Desk, storage: Shaky) -> None:
    desk_.writer.say("one")
    storage.refusals = 1000
    before = desk_.archive()
    desk_.strategy.is_down = True
    state = desk_.archive()
    assert (state.state, state.waiting_logs, state.waiting_bytes) == ("failing", 1, before.waiting_bytes)
    assert "it sleeps" in str(state.error)


def test_a_log_that_is_still_written_to_is_not_archived(desk_: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk_.writer.say("one")
    clear = LogStore.clear

    def meanwhile(store: LogStore, name: str) -> None:
        clear(store, name)
        with desk_.writer.files[0].open("a") as stream:
            stream.write("2000 late\n")

    monkeypatch.setattr(LogStore, "clear", meanwhile)
    state = desk_.archive()
    assert "log.001" in str(state.error)
    assert desk_.archived() == []


def test_a_log_that_cannot_be_read_is_said(desk_: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk_.writer.say("one")
    closed = desk_.strategy.closed

    def with_another() -> list[Log]:
        other = msgspec.structs.replace(closed()[0], name="other", path=Path("/nonexistent/log"))
        return [*closed(), other]

    monkeypatch.setattr(desk_.strategy, "closed", with_another)
    assert "/nonexistent/log failed: No such file" in str(desk_.archive().error)
    assert desk_.archived() == ["one"]


def test_the_server_may_forget_what_is_in_the_store_and_old_enough(desk_: Desk) -> None:
    desk_.writer.say("one")
    desk_.archive()
    assert desk_.strategy.released == []
    desk_.conf.set_override("archive_purge_after", int(time.time()) + 3600, "backup")
    desk_.archive()
    assert desk_.strategy.released == []
    desk_.conf.set_override("archive_purge_after", 3600, "backup")
    desk_.archive()
    assert desk_.strategy.released == ["log.001-1001"]
    desk_.writer.say("two")
    desk_.archive()
    assert desk_.archived() == ["one", "two"]


def test_the_server_keeps_no_more_than_it_may_of_what_is_in_the_store(desk_: Desk) -> None:
    for word in ("one", "two", "three"):
        desk_.writer.say(word)
        desk_.archive()
    assert desk_.strategy.released == []
    sizes = [one.size for one in desk_.strategy.closed()]
    desk_.conf.set_override("archive_keep_bytes", sum(sizes) - 1, "backup")
    assert desk_.archive().state == "good"
    assert desk_.strategy.released == ["log.001-1001"]


def test_the_server_must_not_forget_what_somebody_removed_from_the_store(desk_: Desk) -> None:
    desk_.writer.say("one")
    desk_.archive()
    desk_.store.clear("log.001-1001")
    desk_.conf.set_override("archive_purge_after", 0, "backup")
    desk_.archive()
    assert desk_.strategy.released == []


@pytest.mark.parametrize(("policy", "words"), [("keep", ["one", "two", "three"]), ("drop", ["three"])])
def test_the_limit_of_what_waits(desk_: Desk, storage: Shaky, policy: str, words: list[str]) -> None:
    desk_.conf.set_override("archive_keep_bytes", 20, "backup")
    desk_.conf.set_override("archive_at_limit", policy, "backup")
    desk_.writer.say("one")
    storage.refusals = 1000
    assert desk_.archive().state == "failing"
    desk_.writer.say("two")
    desk_.archive()
    desk_.writer.say("three")
    state = desk_.archive()
    assert state.state == "limit"
    assert state.dropped_logs == 3 - len(words)
    assert desk_.writer.words() == words
    storage.refusals = 0
    assert desk_.archive().state == "good"
    assert desk_.archived() == words


def test_the_limit_is_met_before_a_small_volume_is_full(
    desk_: Desk, storage: Shaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk_.writer.say("one")
    storage.refusals = 1000
    waiting = desk_.archive().waiting_bytes
    asked = []

    def small(path: Path) -> volume.Space:
        asked.append(path)
        return volume.Space(1, 4 * waiting - 1, 0, 0)

    monkeypatch.setattr(volume, "space", small)
    assert desk_.archive().state == "limit"
    assert asked == [desk_.writer.directory]
    desk_.conf.set_override("archive_keep_bytes", 0, "backup")
    assert desk_.archive().state == "failing"


def test_a_log_with_a_name_that_leads_elsewhere_is_refused(desk_: Desk, storage: Shaky) -> None:
    desk_.writer.say("one")
    desk_.writer.files[0].rename(desk_.writer.directory / "log. 001")
    assert "log. 001" in str(desk_.archive().error)
    assert objects(storage) == {}


@pytest.mark.parametrize("instance", ["../b", "", "a/b", "_logs"])
def test_an_instance_whose_id_leads_elsewhere_has_no_logs(storage: Shaky, instance: str) -> None:
    with pytest.raises(InvalidValue):
        LogStore(storage, CONTEXT, CONTAINER, instance)


def test_a_manifest_that_is_none_is_not_believed(desk_: Desk, storage: Shaky) -> None:
    desk_.writer.say("one")
    desk_.archive()
    [(name, ends)] = desk_.store.links().items()
    found = desk_.store.find(name, ends)
    for changed in ({"kind": "full"}, {"instance_id": "another"}, {"id": "another"}):
        text = msgspec.json.encode(msgspec.structs.replace(found, **changed))
        storage.put(CONTEXT, CONTAINER, f"{desk_.store.id_of(name)}/{ends}.json", [text])
        with pytest.raises(ManifestInvalid):
            desk_.store.find(name, ends)
    desk_.store.clear(name)
    with pytest.raises(LogMissing):
        desk_.store.find(name, ends)
