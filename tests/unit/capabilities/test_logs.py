"""Guest logs: who sees what, and what lies in the object store after each request."""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from oslo_config import cfg

from guestagent.capabilities.logs import GuestLogs, Log, LogKind
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import InvalidValue, NotFound, StorageError, SystemFailure
from guestagent.contract.states import ServiceStatus
from guestagent.guest import Guest
from guestagent.storage.base import BaseStorage, Joined, Part
from guestagent.storage.local import LocalStorage
from tests.unit.capabilities.conftest import GUEST_ID, MakeGuest

USER = RequestContext({"is_admin": False})
ADMIN = RequestContext({"is_admin": True})
CONTAINER = "database_logs"
PREFIX = f"{GUEST_ID}/testdb-general/"
METAFILE = f"{GUEST_ID}/testdb-general_metafile"
LIMIT = 1000


class Logging(GuestLogs):
    """A server with two logs that users switch, one of them only over a restart, and one that is always on."""

    def __init__(self, guest: Guest, directory: Path) -> None:
        super().__init__(guest)
        self.directory = directory
        self.on: set[str] = set()
        self.on_after_restart: set[str] = set()

    def logs(self) -> Sequence[Log]:
        return [
            Log("general", LogKind.USER, self.directory / "general.log"),
            Log("audit", LogKind.USER, self.directory / "audit.log"),
            Log("error", LogKind.SYS, self.directory / "error.log"),
        ]

    def switch_log(self, log: Log, enabled: bool) -> bool:
        self.on_after_restart = self.on_after_restart | {log.name} if enabled else self.on_after_restart - {log.name}
        if log.name != "audit":
            self.on = set(self.on_after_restart)
        return log.name == "audit"

    def log_enabled(self, log: Log) -> bool:
        return log.name in self.on

    def restart(self, context: RequestContext) -> None:
        self.on = set(self.on_after_restart)


class Exposing(Logging):
    """Lets users see what an option says."""

    exposed: tuple[str, ...] = ()

    def exposed_logs(self) -> Sequence[str]:
        return self.exposed


@pytest.fixture
def general(tmp_path: Path) -> Path:
    return tmp_path / "general.log"


@pytest.fixture
def manager(make_guest: MakeGuest, tmp_path: Path, conf: cfg.ConfigOpts) -> Logging:
    conf.set_override("guest_log_limit", LIMIT)
    return Logging(make_guest(), tmp_path)


@pytest.fixture
def objects(conf: cfg.ConfigOpts) -> Callable[[], dict[str, bytes]]:
    """What is in the container, by name."""
    storage = LocalStorage(conf)

    def look() -> dict[str, bytes]:
        return {name: b"".join(storage.get(ADMIN, CONTAINER, name)) for name in storage.list(ADMIN, CONTAINER)}

    return look


@pytest.fixture
def published(objects: Callable[[], dict[str, bytes]]) -> Callable[[], bytes]:
    """The published log, put together as a client does it."""
    return lambda: b"".join(content for name, content in objects().items() if name.startswith(PREFIX))


def names(manager: GuestLogs, context: RequestContext) -> list[str]:
    return [details.name for details in manager.guest_log_list(context)]


def test_users_see_what_they_can_switch_and_administrators_everything(manager: Logging) -> None:
    assert names(manager, USER) == ["general", "audit"]
    assert names(manager, ADMIN) == ["general", "audit", "error"]


@pytest.mark.parametrize(
    ("exposed", "seen"),
    [((), []), (("error",), ["error"]), (("all",), ["general", "audit", "error"]), (("nonsense",), [])],
)
def test_a_plugin_says_what_else_users_see(
    make_guest: MakeGuest, tmp_path: Path, exposed: tuple[str, ...], seen: list[str]
) -> None:
    manager = Exposing(make_guest(), tmp_path)
    manager.exposed = exposed
    assert names(manager, USER) == seen
    assert names(manager, ADMIN) == ["general", "audit", "error"]


def test_the_agents_own_log_is_for_administrators(
    manager: Logging, conf: cfg.ConfigOpts, tmp_path: Path, objects: Callable[[], dict[str, bytes]]
) -> None:
    conf.register_opts([cfg.StrOpt("log_dir"), cfg.StrOpt("log_file")])
    assert "guest" not in names(manager, ADMIN), "it is on no file"
    conf.set_override("log_dir", str(tmp_path))
    conf.set_override("log_file", "guestagent.log")
    (tmp_path / "guestagent.log").write_text("started\n")
    assert "guest" in names(manager, ADMIN)
    assert "guest" not in names(manager, USER)
    assert manager.guest_log_action(ADMIN, "guest", publish=1).published == 8
    assert f"{GUEST_ID}/testdb-guest_metafile" in objects()


def test_what_a_user_may_not_see_does_not_exist_for_him(manager: Logging) -> None:
    for name in ("error", "nonsense", "../error", "", "general\0"):
        with pytest.raises(NotFound, match="The log"):
            manager.guest_log_action(USER, name, publish=1)


def test_a_log_that_nobody_has_written_yet_is_listed(manager: Logging) -> None:
    general, _, error = manager.guest_log_list(ADMIN)
    assert (general.type, general.status, general.published, general.pending) == ("USER", "Disabled", 0, 0)
    assert (error.type, error.status, error.published, error.pending) == ("SYS", "Unavailable", 0, 0)
    # What Trove's client can hand to Swift and get "not found" for.
    assert (general.container, general.prefix, general.metafile) == ("None", "None", METAFILE)


def test_statuses_follow_the_log_through_its_life(manager: Logging, general: Path) -> None:
    def status(**action: int) -> str:
        return manager.guest_log_action(USER, "general", **action).status

    assert status() == "Disabled"
    assert status(enable=1) == "Unavailable"
    general.write_bytes(b"")
    assert status() == "Enabled"
    general.write_bytes(b"one\n")
    assert status() == "Ready"
    assert status(publish=1) == "Published"
    with general.open("ab") as log:
        log.write(b"two\n")
    assert status() == "Partial"
    general.write_bytes(b"new\n")
    assert status() == "Rotated"
    assert status(publish=1) == "Published"
    assert status(discard=1) == "Ready"
    assert status(disable=1) == "Disabled"


def test_publishing_puts_the_log_where_troves_clients_look(
    manager: Logging, general: Path, objects: Callable[[], dict[str, bytes]]
) -> None:
    general.write_bytes(b"one\ntwo\n")
    details = manager.guest_log_action(USER, "general", publish=1)
    assert (details.container, details.prefix, details.metafile) == (CONTAINER, PREFIX, METAFILE)
    assert (details.published, details.pending) == (8, 0)
    name, metafile = sorted(objects(), reverse=True)[1], METAFILE
    assert set(objects()) == {name, metafile}
    assert re.fullmatch(re.escape(PREFIX) + r"log-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", name)
    assert objects()[name] == b"one\ntwo\n"
    remembered = json.loads(objects()[metafile])
    assert set(remembered) == {"log_name", "log_type", "log_file", "log_size", "log_header_digest"}
    assert (remembered["log_name"], remembered["log_type"], remembered["log_size"]) == ("general", "USER", 8)


def test_publishing_goes_on_where_the_last_one_ended(
    manager: Logging, general: Path, objects: Callable[[], dict[str, bytes]], published: Callable[[], bytes]
) -> None:
    general.write_bytes(b"one\n")
    manager.guest_log_action(USER, "general", publish=1)
    first = objects()
    with general.open("ab") as log:
        log.write(b"two\n")
    assert manager.guest_log_action(USER, "general", publish=1).published == 8
    assert published() == b"one\ntwo\n"
    assert first.items() - objects().items() == {(METAFILE, first[METAFILE])}, "what was published stays"


def test_publishing_what_has_been_published_adds_nothing(
    manager: Logging, general: Path, objects: Callable[[], dict[str, bytes]]
) -> None:
    general.write_bytes(b"one\n")
    manager.guest_log_action(USER, "general", publish=1)
    before = objects()
    manager.guest_log_action(USER, "general", publish=1)
    assert objects() == before


def test_what_has_been_published_is_known_to_the_next_agent(
    manager: Logging, make_guest: MakeGuest, general: Path, published: Callable[[], bytes]
) -> None:
    general.write_bytes(b"one\n")
    manager.guest_log_action(USER, "general", publish=1)
    with general.open("ab") as log:
        log.write(b"two\n")
    successor = Logging(make_guest(), general.parent)
    successor.on = {"general"}
    (details, *_) = successor.guest_log_list(USER)
    assert (details.status, details.published, details.pending) == ("Partial", 4, 4)
    successor.guest_log_action(USER, "general", publish=1)
    assert published() == b"one\ntwo\n"


def test_big_logs_travel_in_pieces_that_end_with_a_line(
    manager: Logging, general: Path, objects: Callable[[], dict[str, bytes]], published: Callable[[], bytes]
) -> None:
    content = b"".join(b"%05d %s\n" % (number, "ü".encode() * (number % 40)) for number in range(400))
    general.write_bytes(content)
    assert manager.guest_log_action(USER, "general", publish=1).published == len(content)
    pieces = [piece for name, piece in objects().items() if name.startswith(PREFIX)]
    assert len(pieces) > 10
    assert all(len(piece) <= LIMIT for piece in pieces)
    assert all(piece.endswith(b"\n") for piece in pieces)
    assert published() == content


def test_a_line_longer_than_a_piece_is_cut(
    manager: Logging, general: Path, objects: Callable[[], dict[str, bytes]], published: Callable[[], bytes]
) -> None:
    content = b"short\n" + b"x" * (3 * LIMIT) + b"\nend"
    general.write_bytes(content)
    manager.guest_log_action(USER, "general", publish=1)
    assert all(len(piece) <= LIMIT for name, piece in objects().items() if name.startswith(PREFIX))
    assert published() == content


def test_contents_are_bytes_and_nothing_else(manager: Logging, general: Path, published: Callable[[], bytes]) -> None:
    content = bytes(range(256)) * 20 + b"\r\n\0\xff\xfe\n\n"
    general.write_bytes(content)
    details = manager.guest_log_action(USER, "general", publish=1)
    assert details.published == len(content)
    assert published() == content


@pytest.mark.parametrize(
    "successor",
    [b"x\n", b"another header\nthe rest of it\n" + b"y" * 500, b"the same header\nand then other lines, many more\n"],
    ids=["smaller", "other first line", "same first line"],
)
def test_a_rotated_log_is_published_anew(
    manager: Logging, general: Path, published: Callable[[], bytes], successor: bytes
) -> None:
    general.write_bytes(b"the same header\nand then lines\n")
    manager.guest_log_action(USER, "general", publish=1)
    general.write_bytes(successor)
    (details, *_) = manager.guest_log_list(USER)
    assert (details.status, details.pending) == ("Rotated", len(successor))
    details = manager.guest_log_action(USER, "general", publish=1)
    assert (details.published, details.pending) == (len(successor), 0)
    assert published() == successor


def test_a_line_that_grows_is_no_rotation(manager: Logging, general: Path, published: Callable[[], bytes]) -> None:
    general.write_bytes(b"half a li")
    manager.guest_log_action(USER, "general", publish=1)
    general.write_bytes(b"half a line, and more\n")
    assert manager.guest_log_list(USER)[0].status == "Partial"
    manager.guest_log_action(USER, "general", publish=1)
    assert published() == b"half a line, and more\n"


def test_a_log_whose_file_went_away_keeps_what_was_published(
    manager: Logging, general: Path, published: Callable[[], bytes]
) -> None:
    general.write_bytes(b"one\n")
    manager.guest_log_action(USER, "general", publish=1)
    general.unlink()
    (details, *_) = manager.guest_log_list(USER)
    assert (details.status, details.published, details.pending) == ("Unavailable", 4, 0)
    assert details.container == CONTAINER
    assert published() == b"one\n"


def test_publishing_a_file_that_is_not_there_says_so(manager: Logging, general: Path) -> None:
    with pytest.raises(NotFound, match=re.escape(str(general))):
        manager.guest_log_action(USER, "general", publish=1)


def test_discarding_deletes_the_objects_of_this_log_and_no_other(
    manager: Logging, general: Path, objects: Callable[[], dict[str, bytes]]
) -> None:
    general.write_bytes(b"one\n")
    (general.parent / "error.log").write_bytes(b"boom\n")
    manager.guest_log_action(ADMIN, "error", publish=1)
    others = objects()
    manager.guest_log_action(USER, "general", publish=1)
    details = manager.guest_log_action(USER, "general", discard=1)
    assert (details.published, details.pending, details.container) == (0, 4, "None")
    assert objects() == others
    assert general.read_bytes() == b"one\n", "the log itself stays"
    manager.guest_log_action(USER, "general", discard=1)


def test_discard_and_publish_together_begin_anew(
    manager: Logging, general: Path, objects: Callable[[], dict[str, bytes]], published: Callable[[], bytes]
) -> None:
    general.write_bytes(b"one\n")
    manager.guest_log_action(USER, "general", publish=1)
    before = objects()
    assert manager.guest_log_action(USER, "general", discard=1, publish=1).published == 4
    assert published() == b"one\n"
    assert objects().keys() != before.keys()


def test_publishing_enables_a_log_that_is_off(manager: Logging, general: Path) -> None:
    general.write_bytes(b"one\n")
    manager.guest_log_action(USER, "general", publish=1)
    assert "general" in manager.on


def test_publishing_leaves_a_log_off_that_is_to_be_disabled(
    manager: Logging, general: Path, published: Callable[[], bytes]
) -> None:
    manager.guest_log_action(USER, "general", enable=1)
    general.write_bytes(b"one\n")
    assert manager.guest_log_action(USER, "general", disable=1, publish=1).status == "Disabled"
    assert "general" not in manager.on
    assert published() == b"one\n"


@pytest.mark.parametrize("flags", [{}, {"enable": 0}, {"enable": None, "disable": False, "publish": 0, "discard": 0}])
def test_asking_for_nothing_shows_the_log(manager: Logging, flags: dict[str, int | bool | None]) -> None:
    assert manager.guest_log_action(USER, "general", **flags).name == "general"
    assert manager.on == set()


def test_enable_and_disable_together_change_nothing(manager: Logging) -> None:
    with pytest.raises(InvalidValue, match="enable and disable"):
        manager.guest_log_action(USER, "general", enable=1, disable=1)
    assert manager.on == set()


@pytest.mark.parametrize("flag", ["enable", "disable"])
def test_a_log_that_is_always_on_cannot_be_switched(manager: Logging, flag: str) -> None:
    with pytest.raises(InvalidValue, match="always on"):
        manager.guest_log_action(ADMIN, "error", **{flag: 1})


def test_a_log_that_waits_for_a_restart_says_so_until_it_came(manager: Logging, reported: list[ServiceStatus]) -> None:
    assert manager.guest_log_action(USER, "audit", enable=1).status == "Restart Required"
    assert reported == [ServiceStatus.RESTART_REQUIRED]
    assert manager.guest_log_list(USER)[1].status == "Restart Required"
    manager.restart(USER)
    assert manager.guest_log_list(USER)[1].status == "Unavailable"
    assert manager.guest_log_action(USER, "audit", disable=1).status == "Restart Required"
    manager.restart(USER)
    assert manager.guest_log_list(USER)[1].status == "Disabled"


def test_a_change_that_is_taken_back_needs_no_restart(manager: Logging, reported: list[ServiceStatus]) -> None:
    manager.guest_log_action(USER, "audit", enable=1)
    assert manager.guest_log_action(USER, "audit", disable=1).status == "Disabled"
    assert manager.on_after_restart == set(), "the server was told, although it had not begun yet"
    manager.restart(USER)
    assert manager.guest_log_list(USER)[1].status == "Disabled"
    assert reported == [ServiceStatus.RESTART_REQUIRED]


def test_a_log_that_is_switched_live_needs_no_restart(manager: Logging, reported: list[ServiceStatus]) -> None:
    manager.guest_log_action(USER, "general", enable=1)
    assert reported == []


def test_without_a_storage_logs_are_listed_and_switched_but_not_published(
    make_guest: MakeGuest, tmp_path: Path, general: Path
) -> None:
    manager = Logging(make_guest(storage={}), tmp_path)
    general.write_bytes(b"one\n")
    assert manager.guest_log_action(USER, "general", enable=1).pending == 4
    for action in ({"publish": 1}, {"discard": 1}, {"publish": 1, "disable": 1}):
        with pytest.raises(InvalidValue, match=r"\[image\] storage_strategies"):
            manager.guest_log_action(USER, "general", **action)
    assert "general" in manager.on, "a request that cannot be done changes nothing"


def test_the_first_declared_storage_is_used(make_guest: MakeGuest, tmp_path: Path, general: Path) -> None:
    first, second = Shelf(), Shelf()
    general.write_bytes(b"one\n")
    Logging(make_guest(storage={"a": first, "b": second}), tmp_path).guest_log_action(USER, "general", publish=1)
    assert first.kept
    assert not second.kept


class Shelf(BaseStorage):
    """Keeps objects in memory, and refuses after a number of them."""

    def __init__(self, room: int = 1000) -> None:
        self.room = room
        self.kept: dict[str, bytes] = {}
        self.metadata: dict[str, dict[str, str]] = {}

    def put(
        self,
        context: RequestContext,
        container: str,
        name: str,
        chunks: Iterable[bytes],
        metadata: Mapping[str, str] | None = None,
    ) -> int:
        if not self.room:
            raise StorageError(subject=f"Writing {name}", problem="over quota")
        self.room -= 1
        self.kept[name] = b"".join(chunks)
        self.metadata[name] = dict(metadata or {})
        return len(self.kept[name])

    def get(self, context: RequestContext, container: str, name: str) -> Iterator[bytes]:
        if name not in self.kept:
            raise NotFound(subject=name)
        return iter([self.kept[name]])

    def list(self, context: RequestContext, container: str, prefix: str = "") -> list[str]:
        return sorted(name for name in self.kept if name.startswith(prefix))

    def delete(self, context: RequestContext, container: str, name: str) -> None:
        self.kept.pop(name, None)

    def size(self, context: RequestContext, container: str, name: str) -> int:
        return len(self.kept[name])

    def join(self, context: RequestContext, container: str, name: str, parts: Sequence[Part]) -> Joined:
        raise NotImplementedError("no log is joined")

    def locate(self, location: str) -> tuple[str, str]:
        raise NotImplementedError("no log has a location")


def test_every_object_says_how_many_lines_it_has(make_guest: MakeGuest, tmp_path: Path, general: Path) -> None:
    shelf = Shelf()
    general.write_bytes(b"one\n\nthree\nand a half")
    Logging(make_guest(storage={"shelf": shelf}), tmp_path).guest_log_action(USER, "general", publish=1)
    assert [shelf.metadata[name] for name in shelf.list(USER, CONTAINER, PREFIX)] == [{"lines": "4"}]


def test_a_publication_that_the_store_broke_off_is_continued(
    make_guest: MakeGuest, tmp_path: Path, general: Path, conf: cfg.ConfigOpts
) -> None:
    conf.set_override("guest_log_limit", 10)
    shelf = Shelf(room=4)
    manager = Logging(make_guest(storage={"shelf": shelf}), tmp_path)
    content = b"".join(b"line %04d\n" % number for number in range(5))
    general.write_bytes(content)
    with pytest.raises(StorageError, match="over quota"):
        manager.guest_log_action(USER, "general", publish=1)
    assert manager.guest_log_list(USER)[0].published == 20
    shelf.room = 1000
    assert manager.guest_log_action(USER, "general", publish=1).published == len(content)
    assert b"".join(shelf.kept[name] for name in shelf.list(USER, CONTAINER, PREFIX)) == content


class Flood(Shelf):
    """A store in which somebody put a metafile without an end."""

    poured = 0

    def get(self, context: RequestContext, container: str, name: str) -> Iterator[bytes]:
        while self.poured < 1 << 25:
            self.poured += 1 << 16
            yield b" " * (1 << 16)


def test_a_metafile_without_an_end_is_not_read_to_its_end(make_guest: MakeGuest, tmp_path: Path) -> None:
    flood = Flood()
    with pytest.raises(StorageError, match="no metafile"):
        Logging(make_guest(storage={"flood": flood}), tmp_path).guest_log_list(USER)
    assert flood.poured < 1 << 20


@pytest.mark.parametrize(
    "metafile",
    [
        b"",
        b"no json",
        b"[]",
        b'{"log_size": 5}',
        b'{"log_name":"a","log_type":"b","log_file":"c","log_size":-5,"log_header_digest":"d"}',
        b'{"log_name":"a","log_type":"b","log_file":"c","log_size":"5","log_header_digest":"d"}',
    ],
    ids=["empty", "no json", "no object", "incomplete", "negative", "text"],
)
def test_a_damaged_metafile_is_an_error_that_discarding_heals(
    manager: Logging, conf: cfg.ConfigOpts, general: Path, published: Callable[[], bytes], metafile: bytes
) -> None:
    general.write_bytes(b"one\n")
    LocalStorage(conf).put(ADMIN, CONTAINER, METAFILE, [metafile])
    with pytest.raises(StorageError, match="discard the log"):
        manager.guest_log_action(USER, "general", publish=1)
    manager.guest_log_action(USER, "general", discard=1, publish=1)
    assert published() == b"one\n"


def test_a_metafile_that_claims_too_much_is_taken_for_a_rotation(
    manager: Logging, conf: cfg.ConfigOpts, general: Path, published: Callable[[], bytes]
) -> None:
    metafile = {"log_name": "general", "log_type": "USER", "log_file": "x", "log_size": 10**30, "log_header_digest": ""}
    LocalStorage(conf).put(ADMIN, CONTAINER, METAFILE, [json.dumps(metafile).encode()])
    general.write_bytes(b"one\n")
    manager.guest_log_action(USER, "general", publish=1)
    assert published() == b"one\n"


def test_a_link_to_somebody_elses_file_is_not_followed(
    manager: Logging, general: Path, tmp_path: Path, objects: Callable[[], dict[str, bytes]]
) -> None:
    secret = tmp_path / "shadow"
    secret.write_text("root:s3cr3t\n")
    general.symlink_to(secret)
    with pytest.raises(SystemFailure, match=re.escape(str(general))):
        manager.guest_log_action(USER, "general", publish=1)
    assert objects() == {}


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir], ids=["pipe", "directory"])
def test_what_is_no_file_is_refused_and_never_waited_for(
    manager: Logging, general: Path, make: Callable[[Path], None]
) -> None:
    make(general)
    with pytest.raises(SystemFailure, match="no regular file"):
        manager.guest_log_action(USER, "general", publish=1)
    # Publishing had switched it on, and what failed leaves no trace.
    assert [details.status for details in manager.guest_log_list(USER)] == ["Disabled", "Disabled"]
    manager.guest_log_action(USER, "general", enable=1)
    assert [details.status for details in manager.guest_log_list(USER)] == ["Unavailable", "Disabled"]
