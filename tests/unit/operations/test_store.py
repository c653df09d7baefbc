"""The journal's file: whole, for the agent alone, and set aside when it is damaged."""

import contextlib
import logging
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from guestagent.contract.errors import GuestAgentError, NotFound, SystemFailure
from guestagent.operations import store as module
from guestagent.operations.store import COMPANIONS, MIGRATIONS, NAME, Store
from tests.unit.storage.full_disk import full_disk

Open = Callable[[], Store]

WRITER = """
import itertools, sys
from pathlib import Path
from guestagent.operations.store import Store
store = Store(Path(sys.argv[1]))
for number in itertools.count():
    with store.change() as connection:
        connection.execute("INSERT OR REPLACE INTO instance (only, record) VALUES (1, ?)", (f"{number} " + "x" * 3000,))
    print(number, flush=True)
"""


def write(store: Store, text: str) -> None:
    with store.change() as connection:
        connection.execute("INSERT OR REPLACE INTO instance (only, record) VALUES (1, ?)", (text,))


def read(store: Store) -> str | None:
    rows = store.fetch("SELECT record FROM instance")
    return rows[0]["record"] if rows else None


def add(store: Store, name: str) -> None:
    """One more operation, so that the file grows."""
    with store.change() as connection:
        connection.execute(
            "INSERT INTO operations (id, namespace, call, request_id, awaited, path, state, accepted, updated)"
            " VALUES (?, '', 'work', ?, 0, 'legacy', 'queued', 0, 0)",
            (name, "r" * 500),
        )


def names(store: Store) -> list[str]:
    return [row["id"] for row in store.fetch("SELECT id FROM operations ORDER BY number")]


def until_full(store: Store) -> list[str]:
    """Add operations until the disk refuses one; the names of those that it took."""
    written: list[str] = []
    with contextlib.suppress(SystemFailure):
        for name in map(str, range(10_000)):
            add(store, name)
            written.append(name)
    assert len(written) < 10_000
    return written


def files_of(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


class TestTheFile:
    def test_a_new_one_is_nothing_to_be_set_aside(self, open_store: Open) -> None:
        assert open_store().set_aside is None
        assert open_store().set_aside is None

    def test_all_of_it_is_for_the_agent_alone(self, open_store: Open, tmp_path: Path) -> None:
        before = os.umask(0)
        try:
            write(open_store(), "text")
        finally:
            os.umask(before)
        assert files_of(tmp_path) == {f"{NAME}{companion}" for companion in COMPANIONS}
        assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}

    def test_what_was_written_is_there_for_the_next_agent(self, open_store: Open) -> None:
        write(open_store(), "text")
        assert read(open_store()) == "text"

    def test_closing_leaves_one_file_with_everything(self, open_store: Open, tmp_path: Path) -> None:
        store = open_store()
        write(store, "text")
        store.close()
        assert files_of(tmp_path) == {NAME}
        assert read(open_store()) == "text"

    def test_after_its_end_nothing_can_be_asked(self, open_store: Open) -> None:
        store = open_store()
        store.close()
        with pytest.raises(SystemFailure, match="Reading"):
            read(store)
        with pytest.raises(SystemFailure, match="Writing"):
            write(store, "late")

    def test_what_is_written_is_on_disk_when_the_change_is_over(self, store: Store) -> None:
        assert [tuple(row) for row in store.fetch("PRAGMA synchronous")] == [(2,)]
        assert [tuple(row) for row in store.fetch("PRAGMA journal_mode")] == [("wal",)]

    def test_what_it_takes_from_the_disk_stays_small(self, store: Store, tmp_path: Path) -> None:
        for number in range(500):
            write(store, f"{number} " + "x" * 3000)
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2_000_000


class TestChanges:
    @pytest.mark.parametrize("error", [NotFound(subject="It"), ValueError("oops"), KeyboardInterrupt()], ids=repr)
    def test_one_that_fails_is_none(self, store: Store, error: BaseException) -> None:
        write(store, "before")

        def change() -> None:
            with store.change() as connection:
                connection.execute("DELETE FROM instance")
                raise error

        with pytest.raises(type(error)):
            change()
        assert read(store) == "before"
        write(store, "after")
        assert read(store) == "after"

    def test_one_with_a_bad_statement_is_none(self, store: Store) -> None:
        def change() -> None:
            with store.change() as connection:
                connection.execute("INSERT INTO instance (only, record) VALUES (1, 'text')")
                connection.execute("INSERT INTO nowhere VALUES (1)")

        with pytest.raises(SystemFailure, match=r"Writing .*journal\.db"):
            change()
        assert read(store) is None

    @pytest.mark.parametrize(("value", "problem"), [("\ud800", "surrogates not allowed"), (2**70, "too large")])
    def test_a_value_that_sqlite_does_not_take_is_refused(self, store: Store, value: Any, problem: str) -> None:
        with pytest.raises(SystemFailure, match=problem):
            write(store, value)
        with pytest.raises(SystemFailure, match=problem):
            store.fetch("SELECT * FROM operations WHERE id = ?", (value,))
        assert read(store) is None

    def test_a_row_that_must_not_be_is_the_callers_mistake(self, store: Store) -> None:
        with pytest.raises(sqlite3.IntegrityError), store.change() as connection:
            connection.execute("INSERT INTO instance (only, record) VALUES (2, 'another')")
        assert read(store) is None

    def test_what_belongs_to_an_operation_goes_with_it(self, store: Store) -> None:
        add(store, "a")
        with store.change() as connection:
            connection.execute("INSERT INTO plans (operation, name, error) SELECT number, 'p', 'e' FROM operations")
            connection.execute("DELETE FROM operations")
        assert store.fetch("SELECT * FROM plans") == []

    def test_those_of_several_threads_are_all_kept_and_each_reads_whole_ones(self, store: Store) -> None:
        def work(thread: int) -> None:
            for number in range(25):
                add(store, f"{thread} {number}")
                assert f"{thread} {number}" in names(store)

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(work, range(4)))
        assert sorted(names(store)) == sorted(f"{thread} {number}" for thread in range(4) for number in range(25))


class TestSchema:
    @pytest.fixture
    def newer(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
        """Makes this agent a newer one, whose schema has one more version."""

        def know(*statements: str) -> None:
            monkeypatch.setattr(module, "MIGRATIONS", (*MIGRATIONS, statements))

        return know

    @staticmethod
    def version(store: Store) -> int:
        [(found,)] = store.fetch("PRAGMA user_version")
        return int(found)

    def test_a_new_file_has_the_newest(self, store: Store) -> None:
        assert self.version(store) == len(MIGRATIONS)

    def test_an_older_one_is_brought_up_with_what_is_in_it(self, open_store: Open, newer: Callable[..., None]) -> None:
        old = open_store()
        write(old, "text")
        add(old, "a")
        old.close()
        newer("ALTER TABLE operations ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'", "CREATE TABLE more (x)")

        store = open_store()
        assert self.version(store) == len(MIGRATIONS) + 1
        assert read(store) == "text"
        assert [tuple(row) for row in store.fetch("SELECT id, colour FROM operations")] == [("a", "red")]
        assert store.fetch("SELECT * FROM more") == []
        assert store.set_aside is None

    def test_one_that_cannot_be_brought_up_stays_as_it_is(
        self, open_store: Open, newer: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(open_store(), "text")
        newer("CREATE TABLE more (x)", "CREATE TABLE instance (x)")
        with pytest.raises(SystemFailure, match="already exists"):
            open_store()

        monkeypatch.undo()
        store = open_store()
        assert self.version(store) == len(MIGRATIONS)
        assert read(store) == "text"
        assert store.fetch("SELECT name FROM sqlite_master WHERE name = 'more'") == []

    def test_one_of_a_newer_agent_is_refused_and_left_alone(
        self, open_store: Open, newer: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        newer("CREATE TABLE more (x)")
        write(open_store(), "text")
        monkeypatch.undo()
        with pytest.raises(SystemFailure, match=rf"newer agent .*schema {len(MIGRATIONS) + 1}, this one knows"):
            open_store()

        newer("CREATE TABLE more (x)")
        assert read(open_store()) == "text"


def garble(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 64)


def tear(path: Path) -> None:
    """Half of a page in the middle never reached the disk."""
    with path.open("r+b") as stream:
        stream.seek(3 * 4096 + 100)
        stream.write(b"\xee" * 2048)


def tear_the_first_page(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.seek(100)
        stream.write(b"\xee" * 2048)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_in_a_page(path: Path) -> None:
    os.truncate(path, 4096 + 17)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def be_text(path: Path) -> None:
    path.write_text('{"phase": "ready"}')


def be_a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "lost+found").touch()


DAMAGES = [garble, tear, tear_the_first_page, cut, cut_in_a_page, empty, be_text, be_a_directory]


class TestDamage:
    @pytest.fixture
    def path(self, open_store: Open, tmp_path: Path) -> Path:
        """The file that an agent has left, of some ten pages."""
        store = open_store()
        for number in range(50):
            add(store, str(number))
        store.close()
        return tmp_path / NAME

    @pytest.mark.parametrize("damage", DAMAGES)
    def test_it_is_set_aside_loudly_and_a_new_file_begins(
        self, path: Path, open_store: Open, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
    ) -> None:
        damage(path)
        before = path.read_bytes() if path.is_file() else None

        store = open_store()
        assert names(store) == []
        assert store.set_aside is not None
        assert store.set_aside.parent == path.parent
        assert (store.set_aside.read_bytes() if store.set_aside.is_file() else None) == before
        [said] = [record for record in caplog.records if record.levelno == logging.CRITICAL]
        assert str(path) in said.getMessage()
        assert str(store.set_aside) in said.getMessage()

        add(store, "new")
        assert names(open_store()) == ["new"]
        assert open_store().set_aside is None

    def test_what_sqlite_keeps_beside_it_goes_with_it(self, path: Path, open_store: Open) -> None:
        alive = open_store()
        add(alive, "in the log ahead")
        beside = [Path(f"{path}{companion}") for companion in COMPANIONS[1:]]
        kept = {companion: companion.read_bytes() for companion in beside}
        alive.close()
        for companion, text in kept.items():
            companion.write_bytes(text)
        empty(path)

        store = open_store()
        assert names(store) == []
        assert store.set_aside is not None
        assert [Path(f"{store.set_aside}{end}").read_bytes() for end in COMPANIONS[1:]] == list(kept.values())

    def test_a_log_ahead_that_belongs_to_another_file_is_not_believed(self, path: Path, open_store: Open) -> None:
        alive = open_store()
        add(alive, "in the log ahead")
        kept = Path(f"{path}-wal").read_bytes()
        alive.close()
        # An agent that died while it set the file aside.
        path.unlink()
        Path(f"{path}-wal").write_bytes(kept)
        assert names(open_store()) == []

    def test_damage_comes_more_than_once(self, path: Path, open_store: Open) -> None:
        asides = set()
        for _ in range(3):
            garble(path)
            store = open_store()
            asides.add(store.set_aside)
            store.close()
        assert len(asides) == 3
        assert all(aside and aside.exists() for aside in asides)

    def test_a_damaged_log_ahead_costs_only_its_end(self, path: Path, open_store: Open, tmp_path: Path) -> None:
        alive = open_store()
        for number in range(5):
            add(alive, f"ahead {number}")
        copy = tmp_path / "copy"
        copy.mkdir()
        for companion in COMPANIONS[:2]:
            shutil.copy(f"{path}{companion}", copy)
        log = copy / f"{NAME}-wal"
        whole = log.read_bytes()
        counts = set()
        for place in range(0, len(whole), len(whole) // 40):
            log.write_bytes(whole[:place] + b"\xee" * 8 + whole[place + 8 :])
            with contextlib.closing(Store(copy)) as store:
                assert store.set_aside is None
                found = names(store)[50:]
            assert found == [f"ahead {number}" for number in range(len(found))]
            counts.add(len(found))
            shutil.copy(path, copy)
        assert {0, 4} <= counts


class TestADiskThatRefuses:
    def test_nothing_is_half_written_and_it_goes_on_later(self, open_store: Open) -> None:
        store = open_store()
        write(store, "before")
        for _ in range(3):
            with full_disk(), pytest.raises(SystemFailure, match=r"Writing .*journal\.db"):
                write(store, "during")
        assert read(store) == "before"
        write(store, "after")
        assert read(open_store()) == "after"

    def test_a_file_that_cannot_begin_is_begun_later(self, tmp_path: Path, open_store: Open) -> None:
        with full_disk():
            for _ in range(3):
                with pytest.raises(SystemFailure, match="Opening"):
                    Store(tmp_path)
        store = open_store()
        assert store.set_aside is None
        assert not [name for name in files_of(tmp_path) if "damaged" in name]

    def test_a_directory_that_is_not_there_is_a_failure(self, tmp_path: Path) -> None:
        with pytest.raises(SystemFailure, match=r"Opening .*journal\.db"):
            Store(tmp_path / "nowhere")

    def test_a_damaged_file_that_cannot_be_set_aside_is_a_failure(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        garble(tmp_path / NAME)

        def refuse(self: Path, target: str) -> Path:
            raise PermissionError(13, "Permission denied", str(self))

        monkeypatch.setattr(Path, "rename", refuse)
        with pytest.raises(SystemFailure, match="Permission denied"):
            Store(tmp_path)

    @pytest.fixture
    def small_disk(self, tmp_path: Path) -> Iterator[Path]:
        """A file system of 256 KiB."""
        mounted = tmp_path / "small"
        mounted.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(mounted)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False, timeout=30).returncode:
            pytest.skip("needs the right to mount")
        yield mounted
        subprocess.run(["umount", "--lazy", str(mounted)], check=True, timeout=30)

    @staticmethod
    def fill(directory: Path) -> Path:
        """Leave no byte."""
        ballast = directory / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as stream:
            while True:
                stream.write(bytes(4096))
        assert shutil.disk_usage(directory).free == 0
        return ballast

    def test_a_full_one_loses_nothing_that_was_written(self, small_disk: Path) -> None:
        with contextlib.closing(Store(small_disk)) as store:
            written = until_full(store)
            assert written
            assert names(store) == written
        with contextlib.closing(Store(small_disk)) as store:
            assert store.set_aside is None
            assert names(store) == written

    def test_when_there_is_room_again_it_goes_on(self, small_disk: Path) -> None:
        with contextlib.closing(Store(small_disk)) as store:
            add(store, "a")
            ballast = self.fill(small_disk)
            written = until_full(store)
            ballast.unlink()
            add(store, "b")
            assert names(store) == ["a", *written, "b"]

    def test_a_whole_file_on_a_full_one_is_never_taken_for_a_damaged_one(self, small_disk: Path) -> None:
        with contextlib.closing(Store(small_disk)) as store:
            add(store, "a")
            copies = {path: path.read_bytes() for path in small_disk.iterdir() if not path.name.endswith("-shm")}
        for path, text in copies.items():
            path.write_bytes(text)
        ballast = self.fill(small_disk)
        with contextlib.suppress(SystemFailure), contextlib.closing(Store(small_disk)) as store:
            assert store.set_aside is None
        ballast.unlink()
        with contextlib.closing(Store(small_disk)) as store:
            assert store.set_aside is None
            assert names(store) == ["a"]


def test_what_was_acknowledged_outlives_a_killed_agent(open_store: Open, tmp_path: Path) -> None:
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            for _ in range(90):
                acknowledged = int(writer.stdout.readline())
            writer.kill()
            for line in writer.stdout:
                acknowledged = int(line)
        store = open_store()
        number, _, rest = (read(store) or "").partition(" ")
        store.close()
        assert store.set_aside is None
        # It may have been killed between the change and the word of it.
        assert int(number) - acknowledged in (0, 1)
        assert rest == "x" * 3000


def test_the_sentence_of_a_failure_has_no_value(store: Store) -> None:
    with pytest.raises(GuestAgentError) as failed, store.change() as connection:
        connection.execute("INSERT INTO nowhere (x) VALUES (?)", ("s3cr3t",))
    assert "s3cr3t" not in str(failed.value)
