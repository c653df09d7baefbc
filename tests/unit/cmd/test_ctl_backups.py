"""The commands about backups, on stores with good backups, spoiled ones and what is none."""

import contextlib
import json
import os
import pty
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from oslo_config import cfg

from guestagent import conf as options
from guestagent.backup import manifest, writer
from guestagent.backup.catalog import Catalog
from guestagent.backup.keyring import Keyring
from guestagent.backup.log_store import LOG, LogStore
from guestagent.backup.settings import Settings
from guestagent.cmd import guestagentctl
from guestagent.cmd.ctl import backup_bar, backups
from guestagent.cmd.ctl.backup_prune import age
from guestagent.contract.context import RequestContext
from guestagent.storage.local import LocalStorage
from tests.unit.backup.streams import HASTY, Text, manifest_of, rows
from tests.unit.plugins.packages import MANAGER, Site

CONTEXT = RequestContext()
CONTAINER = "database_backups"
KEY = bytes(range(32))
DAY = 24 * 3600
HOSTILE = "\x1b[2Jgone\n"
TOKEN = "gAAAA-secret"


class Store:
    """A machine with a store, and the program on it."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self._capsys = capsys
        self.file = directory / "agent.conf"
        keys = directory / "keys"
        keys.write_text(f"first {KEY.hex()}\n")
        keys.chmod(0o600)
        self.file.write_text(
            f"[agent]\nstorage_dir = {directory / 'store'}\n"
            f"[backup]\nencryption_key_file = {keys}\nretries = 0\nretry_patience = 0\n"
        )
        conf = cfg.ConfigOpts()
        options.register(conf)
        conf([f"--config-file={self.file}"], default_config_dirs=[])
        self.storage = LocalStorage(conf)
        self.catalog = Catalog(self.storage, CONTEXT, CONTAINER)

    def add(self, name: str, days: float, parent: str | None = None, **how: Any) -> None:
        """Keep a backup whose data are so many days old."""
        settings = Settings(segment_size=1 << 16, patience=HASTY, **how)
        written = writer.write(Text(rows(300_000)), self.storage, CONTEXT, CONTAINER, name, settings)
        ended = time.time() - days * DAY
        facts = {"parent": parent, "kind": manifest.INCREMENTAL if parent else manifest.FULL}
        times = {"started": ended - 60, "ended": ended}
        self.catalog.seal(msgspec.structs.replace(manifest_of(written), id=name, **facts, **times))

    def add_log(self, name: str, days: float, instance: str = "i") -> None:
        """Archive a log that was closed so many days ago."""
        store = LogStore(self.storage, CONTEXT, CONTAINER, instance)
        made = manifest_of(writer.write(Text(b"x"), self.storage, CONTEXT, CONTAINER, store.id_of(name), Settings()))
        facts = {"id": store.id_of(name), "kind": LOG, "instance_id": instance, "ended": time.time() - days * DAY}
        store.seal(name, f"{name}+", msgspec.structs.replace(made, **facts))

    def logs(self) -> list[str]:
        return sorted(path.parent.name for path in self.path("_logs").rglob("*.json"))

    def spoil(self, name: str) -> None:
        """Change a byte of a backup."""
        path = self.path(name) / "00000002"
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    def path(self, name: str = "") -> Path:
        return self.directory / "store" / CONTAINER / name

    def ids(self) -> list[str]:
        return [one.id for one in self.catalog.survey().backups]

    def ctl(self, *typed: str, code: int = 0) -> str:
        """What the program prints where it ends with a code; of an error, its sentence."""
        # argparse ends the program itself.
        try:
            found = guestagentctl.main(["backups", *typed, "--config-file", str(self.file)])
        except SystemExit as ended:
            found = int(ended.code or 0)
        said = self._capsys.readouterr()
        assert found == code, said.err
        assert "Traceback" not in said.err
        return said.out + said.err

    def json(self, *typed: str) -> Any:
        return json.loads(self.ctl(*typed, "--json"))


@pytest.fixture
def store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Store]:
    yield Store(tmp_path, capsys)
    cfg.CONF.reset()


def chain(store: Store) -> None:
    """``a`` and ``b`` on it, and ``c`` by itself."""
    store.add("a", 40)
    store.add("b", 30, "a")
    store.add("c", 10)


# list


def test_an_empty_store_is_no_error(store: Store) -> None:
    assert store.ctl("list") == "there is no backup\n"
    assert store.json("list") == []
    assert store.ctl("verify", "--all") == "there is no backup\n"
    assert store.ctl("prune", "--keep", "1") == "there is no backup\n"


def test_the_list_has_a_line_for_each(store: Store) -> None:
    store.add("a", 40, algorithm="AES-256-GCM", keys=Keyring({"first": KEY}))
    store.add("b", 30, "a")
    head, first, second = [line.split() for line in store.ctl("list").splitlines()]
    assert head[:8] == ["ID", "KIND", "PARENT", "STARTED", "SIZE", "STORED", "STRATEGY", "KEY"]
    assert first[:3] == ["a", "full", "-"]
    assert "293.0 KiB" in " ".join(first)
    assert "first" in first
    assert second[:3] == ["b", "incremental", "a"]
    found = store.json("list")
    assert [(one["id"], one["parent"], one["key_id"], one["size"]) for one in found] == [
        ("a", None, "first", 300_000),
        ("b", "a", None, 300_000),
    ]
    assert 0 < found[0]["stored"] < 300_000


def test_what_is_no_backup_is_listed_with_the_reason(store: Store) -> None:
    store.add("a", 1)
    store.add("broken", 1)
    (store.path("broken") / "manifest.json").write_text('{"schema": 99}')
    store.add("begun", 1)
    (store.path("begun") / "manifest.json").unlink()
    found = {one["id"]: one for one in store.json("list")}
    assert found["a"]["problem"] is None
    assert found["broken"]["kind"] == "unusable"
    assert "use a newer image" in found["broken"]["problem"]
    assert found["begun"]["kind"] == "unfinished"
    assert "being made" in store.ctl("list")


def test_what_a_store_holds_does_nothing_to_the_terminal(store: Store) -> None:
    store.add("a", 1)
    text = json.loads((store.path("a") / "manifest.json").read_text())
    (store.path("a") / "manifest.json").write_text(json.dumps(text | {"instance_id": HOSTILE, "strategy": HOSTILE}))
    store.ctl("pin", "a", "--why", HOSTILE)
    for shown in (store.ctl("list"), store.ctl("prune", "--keep", "1"), store.ctl("verify", "a")):
        assert "\x1b" not in shown


@pytest.mark.parametrize("place", [["--container", "others"], ["--storage", "local"], ["--url", "http://somewhere"]])
def test_the_place_can_be_named(store: Store, place: list[str]) -> None:
    store.add("a", 1)
    assert [one["id"] for one in store.json("list", *place)] == ([] if "others" in place else ["a"])


def test_a_store_that_is_not_installed_is_said_to(store: Store) -> None:
    assert "'tape'" in store.ctl("list", "--storage", "tape", code=1)


# A token


def test_the_token_of_a_file_reaches_the_store(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = []
    ask = LocalStorage.list

    def listen(self: LocalStorage, context: RequestContext, *rest: Any) -> list[str]:
        heard.append(context.values.get("auth_token"))
        return ask(self, context, *rest)

    monkeypatch.setattr(LocalStorage, "list", listen)
    file = store.directory / "token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o600)
    store.ctl("list", "--token-file", str(file))
    assert set(heard) == {TOKEN}


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (TOKEN, 0o644, "chmod 600"),
        (TOKEN, 0o640, "mode 0640"),
        ("", 0o600, "something else"),
        ("two\nlines", 0o600, "something else"),
        ("x" * 70_000, 0o600, "something else"),
        ("é", 0o600, "something else"),
        (None, 0o600, "No such file"),
    ],
)
def test_a_token_that_cannot_be_used(store: Store, content: str | None, mode: int, words: str) -> None:
    file = store.directory / "token"
    if content is not None:
        file.write_text(content)
        file.chmod(mode)
    said = store.ctl("list", "--token-file", str(file), code=2)
    assert words in said
    assert TOKEN not in said


# verify


def test_good_backups_are_said_to_be_good(store: Store) -> None:
    chain(store)
    assert store.ctl("verify", "--all").splitlines() == [f"{name}  good  293.0 KiB" for name in "abc"]
    assert store.ctl("verify", "b") == "b  good  293.0 KiB\n"


def test_a_spoiled_one_is_named_with_what_builds_on_it(store: Store) -> None:
    chain(store)
    store.spoil("a")
    said = store.ctl("verify", "--all", code=1).splitlines()
    assert [line.split()[:2] for line in said[:3]] == [["a", "bad"], ["b", "bad"], ["c", "good"]]
    assert "00000002" in said[0]
    assert "'a'" in said[1]
    assert said[3].startswith("guestagentctl: 2 of 3 backups cannot be restored as they are: a, b;")
    assert store.ctl("verify", "c") == "c  good  293.0 KiB\n"


def test_a_program_gets_a_line_of_json_for_each(store: Store) -> None:
    chain(store)
    store.spoil("c")
    lines = store.ctl("verify", "c", "a", "--json", code=1).splitlines()
    bad, good = map(json.loads, lines[:2])
    assert (bad["id"], bad["good"], bad["error"]["id"]) == ("c", False, "backup.segment-damaged")
    assert good == {"id": "a", "good": True, "size": 300_000, "error": None}


def test_each_is_read_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    chain(store)
    read = []
    ask = LocalStorage.get

    def listen(self: LocalStorage, context: RequestContext, container: str, name: str) -> Iterator[bytes]:
        read.append(name)
        return ask(self, context, container, name)

    monkeypatch.setattr(LocalStorage, "get", listen)
    store.ctl("verify", "--all")
    assert read.count("a/00000001") == read.count("b/00000001") == 1


def lose_a_segment(store: Store) -> None:
    (store.path("a") / "00000001").unlink()


def lose_the_manifest(store: Store) -> None:
    (store.path("a") / "manifest.json").unlink()


def spoil_the_manifest(store: Store) -> None:
    (store.path("a") / "manifest.json").write_text("{")


def lose_the_keys(store: Store) -> None:
    store.add("a", 1, algorithm="AES-256-GCM", keys=Keyring({"lost": KEY}))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lose_a_segment, "00000001"),
        (lose_the_manifest, "no manifest"),
        (spoil_the_manifest, "damaged"),
        (lose_the_keys, "'lost', which this guest does not have"),
    ],
)
def test_why_one_is_bad(store: Store, harm: Callable[[Store], None], words: str) -> None:
    store.add("a", 1)
    harm(store)
    assert words in store.ctl("verify", "a", code=1)


def test_one_whose_parent_is_gone_is_bad(store: Store) -> None:
    chain(store)
    store.catalog.discard("a")
    assert "'b' builds on 'a'" in store.ctl("verify", "--all", code=1)


def test_an_unusable_manifest_is_found_by_all(store: Store) -> None:
    chain(store)
    spoil_the_manifest(store)
    assert "2 of 3 backups" in store.ctl("verify", "--all", code=1)


@pytest.mark.parametrize("typed", [[], ["a", "--all"]])
def test_verify_wants_to_know_which(store: Store, typed: list[str]) -> None:
    assert "say which backups, or --all" in store.ctl("verify", *typed, code=2)


def test_verifying_changes_nothing(store: Store) -> None:
    chain(store)
    before = store.storage.list(CONTEXT, CONTAINER)
    store.ctl("verify", "--all")
    assert store.storage.list(CONTEXT, CONTAINER) == before


def all_of(ours: int) -> str:
    """What was written to a terminal whose other end is closed."""
    drawn = b""
    # It comes in pieces, and the end of it is an error.
    with os.fdopen(ours, "rb", buffering=0) as stream, contextlib.suppress(OSError):
        while piece := stream.read(1 << 16):
            drawn += piece
    return drawn.decode()


def test_a_terminal_sees_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal, backup_bar.shown(terminal, "a") as progress:
        progress(50, 100)
        progress(100, 100)
    drawn = all_of(ours)
    assert "[##########..........]   50%" in drawn
    assert drawn.endswith("\r\x1b[K")


def test_a_file_sees_no_bar(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream, backup_bar.shown(stream, "a") as progress:
        progress(50, 100)
    assert (tmp_path / "log").read_text() == ""


def test_a_stream_of_nobody_knows_how_much_has_a_bar_too() -> None:
    assert backup_bar.line("a", 3 << 30, None, 61, 0).split() == [
        "[###.................]",
        "-",
        "0:01:01",
        "3.0",
        "GiB",
        "a",
    ]
    assert backup_bar.line("a", 0, 0, 0, 0).split()[1] == "-"


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (5 << 20, "5.0 MiB"),
        (1 << 40, "1.0 TiB"),
        (1 << 50, "1024.0 TiB"),
    ],
)
def test_sizes_are_said_as_people_do(count: int, said: str) -> None:
    assert backup_bar.size(count) == said


# prune


def test_prune_only_shows_what_would_go(store: Store) -> None:
    chain(store)
    said = store.ctl("prune", "--keep", "1")
    decisions = {line.split()[0]: line for line in said.splitlines()[1:4]}
    assert " remove " in decisions["a"]
    assert " remove " in decisions["b"]
    assert " keep " in decisions["c"]
    assert "2 of 3 backups" in said
    assert "nothing was removed, --apply does it" in said
    assert store.ids() == ["a", "b", "c"]


def test_prune_removes_what_it_is_told_to(store: Store) -> None:
    chain(store)
    assert "removed 2 of 3 backups" in store.ctl("prune", "--keep", "1", "--apply")
    assert store.ids() == ["c"]
    assert {name.partition("/")[0].partition(".")[0] for name in store.storage.list(CONTEXT, CONTAINER)} == {"c"}
    assert "removed 0 of 1 backups" in store.ctl("prune", "--keep", "1", "--apply")


def test_prune_by_age_keeps_what_a_young_one_builds_on(store: Store) -> None:
    chain(store)
    store.add("d", 1, "b")
    assert "0 of 4 backups" in store.ctl("prune", "--max-age", "5d", "--keep", "2", "--apply")
    assert "1 of 4 backups" in store.ctl("prune", "--max-age", "5d", "--apply")
    assert store.ids() == ["a", "b", "d"]


def test_prune_leaves_the_pinned(store: Store) -> None:
    chain(store)
    store.ctl("pin", "b", "--why", "before the migration")
    found = store.json("prune", "--max-age", "1d", "--apply")
    assert {one["id"]: (one["keep"], one["removed"]) for one in found} == {
        "a": (True, False),
        "b": (True, False),
        "c": (False, True),
    }
    assert store.ids() == ["a", "b"]


def test_prune_can_be_for_one_instance(store: Store) -> None:
    chain(store)
    assert store.json("prune", "--max-age", "1d", "--instance", "another", "--apply") == []
    assert store.ids() == ["a", "b", "c"]
    assert len(store.json("prune", "--max-age", "1d", "--instance", "i")) == 3


def test_an_interrupted_prune_leaves_whole_chains(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    chain(store)
    discard = Catalog.discard
    seen = []

    def once(self: Catalog, backup_id: str) -> None:
        seen.append(backup_id)
        if len(seen) > 1:
            raise KeyboardInterrupt
        discard(self, backup_id)

    monkeypatch.setattr(Catalog, "discard", once)
    store.ctl("prune", "--max-age", "1d", "--apply", code=130)
    assert store.ids() == ["a", "c"]


def test_prune_guesses_nothing_about_a_manifest_that_it_cannot_read(store: Store) -> None:
    chain(store)
    store.add("d", 1, "b")
    (store.path("d") / "manifest.json").write_text('{"schema": 99}')
    said = store.ctl("prune", "--keep", "1", "--apply", code=1)
    assert "nobody knows what backup 'd' builds on" in said
    assert store.ids() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ([], "say what stays"),
        (["--keep", "0"], "--keep"),
        (["--keep", "-1"], "--keep"),
        (["--max-age", "30"], "a number and one of s, m, h, d, w"),
        (["--max-age", "-1d"], "--max-age"),
    ],
)
def test_a_rule_that_is_none(store: Store, typed: list[str], words: str) -> None:
    store.add("a", 100)
    assert words in store.ctl("prune", *typed, "--apply", code=2)
    assert store.ids() == ["a"]


@pytest.mark.parametrize(
    ("typed", "seconds"), [("90s", 90), ("5m", 300), ("2h", 7200), ("30d", 30 * DAY), ("1w", 7 * DAY)]
)
def test_ages(typed: str, seconds: int) -> None:
    assert age(typed) == seconds


# pin, unpin, delete


def test_a_pin_is_seen_and_taken_away(store: Store) -> None:
    store.add("a", 1)
    pinned = store.json("pin", "a", "--why", "the audit")["pinned"]
    assert pinned["why"] == "the audit"
    assert "@" in pinned["who"]
    assert abs(pinned["when"] - time.time()) < 60
    assert store.json("list")[0]["pinned"] == pinned
    assert "the audit" in store.ctl("list")
    assert "'a' is pinned by" in store.ctl("delete", "a", code=1)
    store.ctl("unpin", "a")
    assert store.json("list")[0]["pinned"] is None
    assert store.ctl("delete", "a") == "removed a\n"
    assert store.storage.list(CONTEXT, CONTAINER) == []


def test_what_others_build_on_is_not_deleted(store: Store) -> None:
    chain(store)
    assert "b would be lost" in store.ctl("delete", "a", code=1)
    store.ctl("delete", "b")
    store.ctl("delete", "a")
    assert store.ids() == ["c"]


def test_what_is_left_of_a_backup_is_deleted(store: Store) -> None:
    store.add("a", 1)
    lose_the_manifest(store)
    store.ctl("delete", "a")
    assert store.storage.list(CONTEXT, CONTAINER) == []


def test_one_whose_manifest_cannot_be_used_is_deleted_first(store: Store) -> None:
    chain(store)
    (store.path("b") / "manifest.json").write_text("{")
    assert "nobody knows" in store.ctl("delete", "a", code=1)
    store.ctl("delete", "b")
    store.ctl("delete", "a")
    assert store.ids() == ["c"]


@pytest.mark.parametrize("command", ["delete", "pin", "unpin", "verify"])
@pytest.mark.parametrize("backup_id", ["../a", "..", "a/b", ""])
def test_an_id_leads_nowhere_else(store: Store, command: str, backup_id: str) -> None:
    store.add("a", 1)
    before = sorted(store.directory.rglob("*"))
    assert "The backup id" in store.ctl(command, backup_id, code=1)
    assert sorted(store.directory.rglob("*")) == before


@pytest.mark.parametrize("command", ["delete", "pin", "verify"])
def test_what_is_not_there(store: Store, command: str) -> None:
    assert "no backup at database_backups/none" in store.ctl(command, "none", code=1)


# restore-test; what it does with a server is tried with one, among the tests of its datastore


def restorable(site: Site, manager: str) -> Path:
    """The configuration of an image with a datastore and a store of one backup."""
    site.install("guest-alpha", {"alpha": manager}, {"guestagent.datastore": {"alpha": "alpha:Manager"}})
    file = site.configure({"datastore": "alpha", "storage_strategies": "local"})
    with file.open("a") as stream:
        stream.write(f"[agent]\nstorage_dir = {site.directory / 'store'}\n")
    return file


def test_a_datastore_without_backups_has_no_restore_test(store: Store, tmp_path: Path) -> None:
    store.add("a", 1)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    site = Site(tmp_path)
    file = restorable(site, MANAGER)

    typed = ["backups", "restore-test", "a", "--query", "?", "--directory", str(scratch), "--config-file", str(file)]
    process = site.run("-m", "guestagent.cmd.guestagentctl", *typed)

    assert process.returncode == 1
    assert "'restore-test' is not supported by the 'alpha' datastore" in process.stderr
    assert list(scratch.iterdir()) == []


def test_a_restore_test_needs_an_image_and_a_query(store: Store) -> None:
    store.add("a", 1)
    assert "--query" in store.ctl("restore-test", "a", code=2)
    assert "guest_id" in store.ctl("restore-test", "a", "--query", "?", "--directory", str(store.directory), code=1)
    assert not list(store.directory.glob("guestagent-restore-*"))


# The program


def test_a_command_must_be_named(store: Store) -> None:
    assert "COMMAND" in store.ctl(code=2)


# prune-logs


def test_logs_that_no_backup_needs_are_shown_and_removed(store: Store) -> None:
    chain(store)
    for name, days in (("older", 41), ("old", 40.1), ("needed", 40), ("new", 1)):
        store.add_log(name, days)
    store.add_log("foreign", 99, "j")
    said = store.ctl("prune-logs")
    assert [line.split()[0] for line in said.splitlines()[1:3]] == ["older", "old"]
    assert "2 archived logs with" in said
    assert "--apply does it" in said
    assert len(store.logs()) == 5
    assert [one["removed"] for one in store.json("prune-logs", "--apply")] == [True, True]
    assert store.logs() == ["foreign", "needed", "new"]
    assert "of use" in store.ctl("prune-logs", "--apply")
    # The backups are as they were.
    assert store.ids() == ["a", "b", "c"]
    assert store.ctl("verify", "--all").count("  good  ") == 3


def test_logs_of_other_instances_are_left_alone(store: Store) -> None:
    chain(store)
    store.add_log("older", 41)
    store.ctl("prune-logs", "--instance", "j", "--apply")
    assert store.logs() == ["older"]


def test_logs_stay_while_nobody_knows_what_needs_them(store: Store) -> None:
    chain(store)
    store.add_log("older", 41)
    (store.path("c") / "manifest.json").write_text("{")
    assert "'c'" in store.ctl("prune-logs", "--apply", code=1)
    assert store.logs() == ["older"]


# window; what it finds is tried with a real server, among the tests of its datastore


def test_a_window_needs_an_instance_and_what_knows_its_logs(store: Store) -> None:
    assert "--instance" in store.ctl("window", code=2)
    assert "no archive strategy" in store.ctl("window", "--instance", "i", code=2)


@pytest.mark.parametrize("command", [command.name for command in backups.COMMANDS])
def test_the_help_of_a_command_shows_its_use(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        guestagentctl.main(["backups", command, "--help"])
    assert ended.value.code == 0
    assert f"guestagentctl backups {command}" in capsys.readouterr().out.partition("examples:")[2]
