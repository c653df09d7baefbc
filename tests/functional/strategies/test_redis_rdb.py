"""Dumps of a real server as backups: what comes back, what is refused, and what is left behind."""

import contextlib
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.redis import INSTALLED

if not INSTALLED:
    pytest.skip("neither redis-server nor valkey-server is installed", allow_module_level=True)

from guestagent_redis.manager import RedisManager
from guestagent_redis_rdb.errors import StreamInvalid
from guestagent_redis_rdb.strategy import RedisRdb

from guestagent.backup.base import Server, Stage, Taken
from guestagent.conformance.poll import eventually
from guestagent.contract.errors import DatastoreDown, DatastoreError, GuestAgentError, SystemFailure
from guestagent.system import files
from tests.functional.redis.machine import FLAVOUR, Machine, machine, prepare
from tests.support.machine import CONTEXT, PASSWORD, user
from tests.support.onlooker import Onlooker

READ = 1 << 16


@pytest.fixture(scope="module", params=INSTALLED)
def guest(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """An instance with data and users."""
    with machine(datastore=request.param) as made:
        manager = made.manager()
        prepare(manager, users=[user("keeper")])
        manager.enable_root_with_password(CONTEXT, "secret-of-root")
        with made.client("keeper", PASSWORD) as client:
            client("EVAL", "for i = 1, 3000 do redis.call('SET', 'key:' .. i, string.rep('v' .. i, 20)) end", 0)
            client("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('hallo', function() return 1 end)")
        yield made


@pytest.fixture
def manager(guest: Machine) -> RedisManager:
    return guest.manager()


@contextlib.contextmanager
def strategy(guest: Machine, manager: RedisManager, kept_dir: Path | None = None) -> Iterator[RedisRdb]:
    layout, account = manager.layout, guest.account
    with manager.administrator.lend_credentials(guest.directory / "config" / "lent", account) as lent:
        yield RedisRdb(
            guest.conf,
            Server(guest.datastore, "7.0.15", layout.data_dir, layout.scratch_dir, account, lent, kept_dir),
        )


def taken(made: RedisRdb) -> tuple[bytes, Taken]:
    with made.backup(None) as source:
        stream = b"".join(iter(lambda: source.read(READ), b""))
        return stream, source.finish()


@pytest.fixture(scope="module")
def stream(guest: Machine) -> bytes:
    with strategy(guest, guest.manager()) as made:
        return taken(made)[0]


def stage(content: bytes, *, incremental: bool = False) -> Stage:
    return Stage((content[at : at + READ] for at in range(0, len(content), READ)), {}, incremental)


@contextlib.contextmanager
def restored(guest: Machine, content: bytes) -> Iterator[Path]:
    """A data directory that was made of a stream."""
    target = guest.volume / "restored"
    files.ensure_directory(target, mode=0o700, owner=guest.account, group=guest.account)
    try:
        with strategy(guest, guest.manager()) as made:
            made.restore([stage(content)], target)
        yield target
    finally:
        shutil.rmtree(target)


@pytest.mark.parametrize("kept", [False, True], ids=["dump", "log"])
def test_an_instance_that_begins_with_a_backup_has_the_data_and_the_users(
    guest: Machine, stream: bytes, kept: bool
) -> None:
    """Also where a log of changes is configured, which is not there and would be taken for empty data."""
    with restored(guest, stream) as data, machine(datastore=guest.datastore) as other:
        base = FLAVOUR.replace("appendonly no", f"appendonly {'yes' if kept else 'no'}")
        manager = other.manager()

        def fill(target: Path) -> None:
            shutil.copytree(data, target, dirs_exist_ok=True)
            for path in target.iterdir():
                if guest.account:
                    shutil.chown(path, guest.account, guest.account)

        manager.restore = lambda context, info, target: fill(target)  # type: ignore[method-assign]
        prepare(manager, config_contents=base, backup_info={"id": "1"})
        for _ in range(2):
            with other.client("keeper", PASSWORD) as client:
                assert client("DBSIZE") == 3000
                assert client("GET", "key:7") == "v7" * 20
                assert client("FCALL", "hallo", 0) == 1
            assert other.enters("", "secret-of-root")
            assert manager.client.settings("appendonly") == {"appendonly": "yes" if kept else "no"}
            manager.restart(CONTEXT)


def test_a_backup_whose_maker_died_is_made_again_of_what_it_was_made_of(guest: Machine, manager: RedisManager) -> None:
    kept = manager.layout.draft_dir
    files.ensure_directory(kept, mode=0o700, owner=guest.account, group=guest.account)
    try:
        with strategy(guest, manager, kept) as made:
            first = taken(made)
            with guest.client("keeper", PASSWORD) as client:
                client("SET", "later", "value")
            assert taken(made) == first
            # It died before it held all of it.
            (kept / "moment").unlink()
            again, moment = taken(made)
            assert again != first[0]
            assert moment.ended > first[1].ended
            with guest.client("keeper", PASSWORD) as client:
                client("DEL", "later")
    finally:
        shutil.rmtree(kept)


def test_a_backup_is_of_the_moment_in_which_it_begins(guest: Machine, manager: RedisManager) -> None:
    closing, pairs = threading.Event(), 0

    def trade() -> None:
        nonlocal pairs
        with guest.client("keeper", PASSWORD) as client:
            while not closing.is_set():
                client("EVAL", "redis.call('INCR', 'debit') redis.call('INCR', 'credit')", 0)
                pairs += 1

    trader = threading.Thread(target=trade)
    trader.start()
    try:
        eventually(lambda: pairs > 10)
        least = pairs
        with strategy(guest, manager) as made:
            content, _ = taken(made)
    finally:
        closing.set()
        trader.join()
    with restored(guest, content) as data, scratch(guest, data) as query:
        [[debit]], [[credit]] = query("GET debit"), query("GET credit")
        assert debit == credit
        assert least <= int(debit or 0) <= pairs
    guest.ask("keeper", PASSWORD, "DEL", "debit", "credit")


@contextlib.contextmanager
def scratch(guest: Machine, data: Path) -> Iterator[object]:
    directory = guest.directory / "scratch"
    files.ensure_directory(directory, mode=0o700, owner=guest.account, group=guest.account)
    try:
        with guest.manager().scratch_server(data, directory) as query:
            yield query
    finally:
        shutil.rmtree(directory)


def test_a_server_on_restored_data_is_asked(guest: Machine, stream: bytes) -> None:
    with restored(guest, stream) as data, scratch(guest, data) as query:
        assert query("DBSIZE") == [["3000"]]
        assert query('MGET key:1 "no such key"') == [["v1" * 20], [None]]
        with pytest.raises(DatastoreError, match="unknown command"):
            query("KLINGON")
        with pytest.raises(GuestAgentError, match="command"):
            query("'")
        assert query("CONFIG GET port") == [["port"], ["0"]]


def test_the_same_dump_is_the_same_stream(guest: Machine, manager: RedisManager) -> None:
    with strategy(guest, manager) as made, made.backup(None) as source:
        first = b"".join(iter(lambda: source.read(READ), b""))
        held = [manager.layout.scratch_dir / "redis_rdb" / name for name in ("users.acl", "dump.rdb")]
        # The server may save again meanwhile.
        guest.ask("keeper", PASSWORD, "SET", "later", "1")
        manager.client.ask("Saving", "SAVE")
        from guestagent_redis_rdb.archive import Writing

        again = Writing(held)
        assert b"".join(iter(lambda: again.read(7001), b"")) == first
    guest.ask("keeper", PASSWORD, "DEL", "later")
    assert not (manager.layout.scratch_dir / "redis_rdb").exists()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda content: b"", "no archive"),
        (lambda content: b"-- a dump of something else\n" * 100, "no archive"),
        (lambda content: content[:400], "too early"),
        (lambda content: content[: len(content) // 2], "too early"),
        (lambda content: content.replace(b"dump.rdb", b"evil.rdb"), "evil.rdb"),
        (lambda content: content.replace(b"REDIS", b"RADIS"), "no dump"),
    ],
)
def test_what_is_no_whole_backup_is_refused(guest: Machine, stream: bytes, spoil: object, reason: str) -> None:
    spoiled = _with_sums(spoil(stream))  # type: ignore[operator]
    with pytest.raises(StreamInvalid, match=reason), restored(guest, spoiled):
        pass


def _with_sums(content: bytes) -> bytes:
    """An archive whose names were changed, with the sums of its headers put right."""
    made = bytearray(content)
    for at in range(0, len(made) - 511, 512):
        if made[at + 257 : at + 262] == b"ustar":
            made[at + 148 : at + 156] = b" " * 8
            made[at + 148 : at + 156] = b"%06o\0 " % sum(made[at : at + 512])
    return bytes(made)


def test_one_that_builds_on_another_is_refused(guest: Machine, manager: RedisManager, stream: bytes) -> None:
    with strategy(guest, manager) as made:
        with pytest.raises(GuestAgentError, match="incremental"), made.backup({"lsn": 1}):
            pass
        for stages in ([stage(stream, incremental=True)], [stage(stream), stage(stream)]):
            with pytest.raises(GuestAgentError, match="incremental"):
                made.restore(stages, guest.volume)


def test_a_server_that_cannot_save_gives_no_backup(guest: Machine, manager: RedisManager) -> None:
    # In the way of the file that the dump would replace.
    dump = manager.layout.data_dir / "dump.rdb"
    dump.unlink()
    dump.mkdir()
    try:
        with (
            strategy(guest, manager) as made,
            pytest.raises(DatastoreError, match="Saving the data"),
            made.backup(None),
        ):
            pass
    finally:
        dump.rmdir()
        manager.client.ask("Saving", "SAVE")


def test_links_are_not_followed(guest: Machine, manager: RedisManager, tmp_path: Path) -> None:
    users, other = manager.layout.users_file, tmp_path / "shadow"
    other.write_text("root:secret")
    content = users.read_bytes()
    users.unlink()
    users.symlink_to(other)
    try:
        with strategy(guest, manager) as made, pytest.raises(SystemFailure), made.backup(None) as source:
            source.read(READ)
    finally:
        users.unlink()
        files.write(users, content, mode=0o600, owner=guest.account, group=guest.account)


def test_a_server_that_is_down_or_shuts_the_agent_out_is_said_so(guest: Machine, manager: RedisManager) -> None:
    with strategy(guest, manager) as made:
        manager.client.ask("Shutting out", "ACL", "SETUSER", "guestagent", "resetpass", ">another")
        with pytest.raises(DatastoreDown, match="WRONGPASS"), made.backup(None):
            pass
        manager.stop_db(CONTEXT)
        with pytest.raises(DatastoreDown, match="connect"), made.backup(None):
            pass
    manager.restart(CONTEXT)


def test_no_secret_is_shown_while_it_works(guest: Machine, manager: RedisManager) -> None:
    with Onlooker() as seen, strategy(guest, manager) as made:
        taken(made)
    password = manager.administrator.password().encode()
    assert not [shown for shown in seen if password in shown]
    assert not (guest.directory / "config" / "lent").exists()
