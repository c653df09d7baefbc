"""The storage strategy ``swift`` with a real Swift, over links that are good, bad, slow and secured."""

import contextlib
import hashlib
import itertools
import os
import ssl
import time
import tracemalloc
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from guestagent_swift.errors import TokenRefused
from guestagent_swift.storage import SwiftStorage
from oslo_config import cfg

from guestagent import conf as runtime_options
from guestagent.capabilities.logs import GuestLogs, Log, LogKind
from guestagent.conformance.certificates import Authority
from guestagent.conformance.poll import eventually
from guestagent.conformance.ports import LOOPBACK
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import NotFound, StorageError
from guestagent.guest import Guest
from guestagent.operations.instance import InstanceRecord
from guestagent.operations.store import Store
from guestagent.storage.base import NoSuchObject, Part, StoreFull
from guestagent.storage.http import StorageUnavailable
from guestagent.system.plain import PlainControl
from tests.support.cable import Cable
from tests.support.faults import Fault, FaultyLink
from tests.support.interruptions import cancelled_once, timed_out_after
from tests.support.swift import LARGEST, PAGE, SEGMENTS, Swift

MIB = 1 << 20
PATIENT = 30
"""Seconds that the store may take, on a machine that is busy with other tests."""
HURRIED = 2
"""Seconds for those who try what happens when they are over."""
CREATED = 201
NOT_FOUND = 404


@pytest.fixture(scope="module")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swift]:
    """The one cluster; each test has containers of its own."""
    with Swift(tmp_path_factory.mktemp("swift")) as swift:
        yield swift


@pytest.fixture
def patience() -> int:
    return PATIENT


hurried = pytest.mark.parametrize("patience", [HURRIED])


@pytest.fixture
def conf(tmp_path: Path, swift: Swift, patience: int) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    runtime_options.register(conf)
    conf([], default_config_files=[], default_config_dirs=[])
    SwiftStorage(conf)
    conf.set_override("timeout", patience, group="swift")
    return conf


@pytest.fixture
def context(swift: Swift) -> RequestContext:
    """A request with a token that is good."""
    return RequestContext({"auth_token": swift.token(), "is_admin": True})


@pytest.fixture
def storage(conf: cfg.ConfigOpts, swift: Swift) -> SwiftStorage:
    return SwiftStorage(conf).at(swift.url)


@pytest.fixture
def container() -> str:
    """The name of a container that is not there yet."""
    return f"test-{uuid.uuid4()}"


@pytest.fixture
def faulty(swift: Swift) -> Iterator[FaultyLink]:
    """A link that answers for Swift, or spoils its answers."""
    with FaultyLink(swift.port) as link:
        yield link


@pytest.fixture
def over_faulty(conf: cfg.ConfigOpts, swift: Swift, faulty: FaultyLink) -> SwiftStorage:
    return SwiftStorage(conf).at(faulty.url + swift.path)


@pytest.fixture
def cable(swift: Swift) -> Iterator[Cable]:
    """A link that breaks."""
    with Cable(swift.port) as cable:
        yield cable


@pytest.fixture
def over_cable(conf: cfg.ConfigOpts, swift: Swift, cable: Cable) -> SwiftStorage:
    return SwiftStorage(conf).at(f"http://{LOOPBACK}:{cable.port}{swift.path}")


@pytest.fixture
def put(storage: SwiftStorage, context: RequestContext, container: str) -> Callable[..., Part]:
    """Puts an object and says what it is as a part."""

    def put(name: str, content: bytes) -> Part:
        size = storage.put(context, container, name, [content])
        return Part(name, size, md5(content))

    return put


@pytest.fixture
def read(storage: SwiftStorage, context: RequestContext, container: str) -> Callable[[str], bytes]:
    return lambda name: b"".join(storage.get(context, container, name))


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def pieces(content: bytes, length: int = 300_000) -> Iterator[bytes]:
    """What can be sent once only."""
    return (content[start : start + length] for start in range(0, len(content), length))


Read = Callable[[str], bytes]
Put = Callable[..., Part]


# What is put comes back.


@pytest.mark.parametrize("kind", [list, iter])
@pytest.mark.parametrize("size", [0, 1, 3 * MIB + 7])
def test_an_object_comes_back_as_it_was_put(
    storage: SwiftStorage, context: RequestContext, container: str, read: Read, kind: Callable[..., Any], size: int
) -> None:
    content = os.urandom(size)
    chunks = [content[:1], b"", content[1 : 2 * MIB], content[2 * MIB :]]
    assert storage.put(context, container, "id/a", kind(chunks)) == size
    assert read("id/a") == content
    assert storage.size(context, container, "id/a") == size
    assert storage.list(context, container) == ["id/a"]


def test_an_object_is_never_in_memory_as_a_whole(
    storage: SwiftStorage, context: RequestContext, container: str
) -> None:
    tracemalloc.start()
    try:
        assert storage.put(context, container, "a", (os.urandom(MIB) for _ in range(48))) == 48 * MIB
        assert max(len(chunk) for chunk in storage.get(context, container, "a")) <= MIB
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 8 * MIB


def test_putting_again_replaces(put: Put, read: Read) -> None:
    put("a", b"a longer text")
    put("a", b"short")
    assert read("a") == b"short"


@pytest.mark.parametrize(
    "name", ["a b?c#d%e&f=g+h", "größe/日本/😀", 'it\'s "quoted"', "line\nend", "a//b", "x" * 1024]
)
def test_every_name_is_one_object(
    storage: SwiftStorage, context: RequestContext, container: str, put: Put, read: Read, name: str
) -> None:
    part = put(name, b"content")
    assert read(name) == b"content"
    assert storage.list(context, container, name[:3]) == [name]
    joined = storage.join(context, container, "whole of it", [part])
    assert storage.locate(joined.location) == (container, "whole of it")
    assert read("whole of it") == b"content"
    storage.delete(context, container, name)
    assert storage.list(context, container) == ["whole of it"]


def test_metadata_are_shown_to_those_who_look(
    swift: Swift, storage: SwiftStorage, context: RequestContext, container: str
) -> None:
    storage.put(context, container, "a", [b"x\ny\n"], {"lines": "2"})
    head = swift.ask("HEAD", f"/{container}/a")
    assert head.headers["x-object-meta-lines"] == "2"
    assert head.headers["content-type"] == "application/octet-stream"
    assert storage.metadata(context, container, "a") == {"lines": "2"}
    with pytest.raises(NotFound):
        storage.metadata(context, container, "b")


def test_names_are_listed_sorted_and_by_prefix_over_all_pages(
    over_faulty: SwiftStorage, faulty: FaultyLink, context: RequestContext, container: str, put: Put
) -> None:
    names = [f"id/{number:02d}" for number in range(2 * PAGE + 1)]
    for name in [*reversed(names), "id2/1", "other"]:
        put(name, b"x")
    assert over_faulty.list(context, container, "id/") == names
    assert faulty.seen("GET") == 4
    assert over_faulty.list(context, container) == [*names, "id2/1", "other"]
    assert over_faulty.list(context, container, "nothing") == []


def test_deleting_again_is_no_error(storage: SwiftStorage, context: RequestContext, container: str, put: Put) -> None:
    put("a", b"x")
    for _ in range(2):
        storage.delete(context, container, "a")
    assert storage.list(context, container) == []


def test_what_is_not_there_is_said_to_be_so(storage: SwiftStorage, context: RequestContext, container: str) -> None:
    for there in ([], ["other"]):
        for name in there:
            storage.put(context, container, name, [b"x"])
        with pytest.raises(NoSuchObject):
            storage.get(context, container, "a")
        with pytest.raises(NoSuchObject):
            storage.size(context, container, "a")
        storage.delete(context, container, "a")
        assert storage.list(context, container) == there


# Containers are made when they are needed.


@pytest.mark.parametrize("kind", [list, iter])
def test_a_container_is_made_when_it_is_first_needed(
    swift: Swift, storage: SwiftStorage, context: RequestContext, container: str, kind: Callable[..., Any]
) -> None:
    assert swift.ask("HEAD", f"/{container}").status == NOT_FOUND
    storage.put(context, container, "a", kind([b"x"]))
    assert storage.list(context, container) == ["a"]


def test_what_can_be_sent_once_is_not_sent_into_a_container_that_is_not_there(
    over_faulty: SwiftStorage, faulty: FaultyLink, context: RequestContext, container: str
) -> None:
    for name in ("a", "b"):
        over_faulty.put(context, container, name, pieces(b"x"))
    asked = [exchange.method for exchange in faulty.exchanges]
    assert asked == ["HEAD", "PUT", "PUT", "PUT"]


def test_a_container_that_was_removed_meanwhile_is_made_anew(
    swift: Swift, storage: SwiftStorage, context: RequestContext, container: str
) -> None:
    def remove() -> None:
        storage.delete(context, container, "a")
        assert swift.ask("DELETE", f"/{container}").status == 204

    storage.put(context, container, "a", pieces(b"x"))
    remove()
    with pytest.raises(StorageUnavailable, match="has been made; try again"):
        storage.put(context, container, "a", pieces(b"x"))
    assert storage.put(context, container, "a", pieces(b"x")) == 1
    remove()
    assert storage.put(context, container, "a", [b"x"]) == 1


# Many parts become one object.


@pytest.mark.parametrize("count", [1, SEGMENTS, SEGMENTS + 1, 60])
def test_joined_parts_are_one_object_that_trove_finds_and_removes_with_all_that_is_in_it(
    swift: Swift, storage: SwiftStorage, context: RequestContext, container: str, put: Put, read: Read, count: int
) -> None:
    """60 parts make the deepest lists that Swift reads, and a tree of them would be more than it deletes."""
    contents = [os.urandom(1000 + number) for number in range(count)]
    with ThreadPoolExecutor(4) as threads:
        parts = list(threads.map(put, [f"id/{number:08d}" for number in range(count)], contents))

    joined = storage.join(context, container, "id.backup", parts)

    assert joined.location == f"{swift.url}/{container}/id.backup"
    assert storage.locate(joined.location) == (container, "id.backup")
    assert read("id.backup") == b"".join(contents)
    # Trove's API: `parts = location.split('/')`, `resp['etag'].strip('"') != checksum`.
    place, name = joined.location.split("/")[-2:]
    head = swift.ask("HEAD", f"/{place}/{name}")
    assert head.headers["etag"].strip('"') == joined.checksum
    assert head.headers["x-static-large-object"] == "True"
    assert int(head.headers["content-length"]) == sum(map(len, contents))
    assert storage.join(context, container, "id.backup", parts) == joined

    # Its taskmanager: `client.delete_object(container, filename, query_string='multipart-manifest=delete')`.
    gone = swift.ask("DELETE", f"/{place}/{name}", {"multipart-manifest": "delete"})
    # Swift says "200" whatever happens, and Trove looks no further.
    assert b"Response Status: 200 OK" in gone.content
    assert storage.list(context, container) == []


def test_deleting_a_joined_object_leaves_its_parts(
    storage: SwiftStorage, context: RequestContext, container: str, put: Put, read: Read
) -> None:
    parts = [put(f"id/{number}", b"x%d" % number) for number in range(SEGMENTS + 1)]
    storage.join(context, container, "id.backup", parts)
    storage.delete(context, container, "id.backup")
    assert read("id/0") == b"x0"
    # What is beside the parts lies where they lie, and goes with them.
    assert all(name.startswith("id/") for name in storage.list(context, container))


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (Part("id/2", 1, md5(b"y")), "404 Not Found"),
        (Part("id/1", 1, md5(b"y")), "Etag Mismatch"),
        (Part("id/1", 2, md5(b"x")), "Size Mismatch"),
    ],
)
def test_a_part_that_is_not_there_or_another_one_is_named(
    storage: SwiftStorage, context: RequestContext, container: str, put: Put, part: Part, said: str
) -> None:
    first = put("id/1", b"x")
    with pytest.raises(StorageError, match=said) as raised:
        storage.join(context, container, "id.backup", [first, part])
    assert part.name in str(raised.value)
    assert not isinstance(raised.value, StorageUnavailable)
    assert storage.list(context, container) == ["id/1"]


def test_a_store_that_does_not_say_what_it_is_like_has_swifts_limits(
    over_faulty: SwiftStorage, faulty: FaultyLink, context: RequestContext, container: str, put: Put, read: Read
) -> None:
    parts = [put(f"id/{number}", b"x") for number in range(2)]
    for fault in (Fault(status=404), Fault(status=200, body=b"<html>"), Fault(status=200, body=b"{}")):
        faulty.spoil(fault, target="/info")
        over_faulty.join(context, container, "id.backup", parts)
        assert read("id.backup") == b"xx"
    assert faulty.seen("GET", "/info") == 3
    assert all("X-Auth-Token" not in asked.headers for asked in faulty.exchanges if asked.target == "/info")


def test_a_store_that_keeps_the_list_instead_of_the_object_is_found_out(
    over_faulty: SwiftStorage, faulty: FaultyLink, context: RequestContext, container: str, put: Put
) -> None:
    part = put("id/1", b"x")
    faulty.spoil(Fault(status=201), method="PUT")
    put("id.backup", b"[]")
    with pytest.raises(StorageError, match="'slo' is needed"):
        over_faulty.join(context, container, "id.backup", [part])


# Who may.


def test_a_request_without_a_token_is_sent_without(
    over_faulty: SwiftStorage, faulty: FaultyLink, container: str
) -> None:
    with pytest.raises(TokenRefused):
        over_faulty.list(RequestContext(), container)
    (asked,) = faulty.exchanges
    assert "X-Auth-Token" not in asked.headers


def test_an_expired_token_is_not_tried_again_and_a_fresh_one_is_taken(
    swift: Swift, over_faulty: SwiftStorage, faulty: FaultyLink, context: RequestContext, container: str
) -> None:
    over_faulty.put(context, container, "a", [b"x"])
    swift.expire_tokens()
    asks: list[Callable[[], object]] = [
        lambda: over_faulty.put(context, container, "a", [b"y"]),
        lambda: over_faulty.put(context, container, "a", pieces(b"y")),
        lambda: over_faulty.get(context, container, "a"),
        lambda: over_faulty.size(context, container, "a"),
        lambda: over_faulty.list(context, container),
        lambda: over_faulty.delete(context, container, "a"),
    ]
    for ask in asks:
        before = len(faulty.exchanges)
        with pytest.raises(TokenRefused, match="401 Unauthorized") as raised:
            ask()
        assert len(faulty.exchanges) == before + 1
        assert "ask again with a fresh token" in str(raised.value)
        assert context.values["auth_token"] not in str(raised.value)
        assert not isinstance(raised.value, StorageUnavailable)
    fresh = RequestContext({"auth_token": swift.token()})
    assert b"".join(over_faulty.get(fresh, container, "a")) == b"x"


def test_a_token_that_expires_between_two_segments_ends_the_second(
    swift: Swift, storage: SwiftStorage, context: RequestContext, container: str
) -> None:
    storage.put(context, container, "1", pieces(os.urandom(MIB)))
    swift.expire_tokens()
    with pytest.raises(TokenRefused):
        storage.put(context, container, "2", pieces(os.urandom(8 * MIB)))
    fresh = RequestContext({"auth_token": swift.token()})
    assert storage.list(fresh, container) == ["1"]


def test_somebody_elses_token_is_refused(swift: Swift, storage: SwiftStorage, container: str) -> None:
    with pytest.raises(TokenRefused, match="403 Forbidden"):
        storage.put(RequestContext({"auth_token": swift.token("stranger")}), container, "a", [b"x"])


# When there is no room.


def test_an_object_that_is_larger_than_swift_keeps_is_not_there(
    storage: SwiftStorage, context: RequestContext, container: str
) -> None:
    with pytest.raises(StoreFull, match="413"):
        storage.put(context, container, "a", itertools.repeat(bytes(MIB), (LARGEST >> 20) + 1))
    assert storage.list(context, container) == []


def test_a_full_store_is_said_to_be_full(
    over_faulty: SwiftStorage, faulty: FaultyLink, context: RequestContext, container: str
) -> None:
    faulty.spoil(Fault(status=507), method="PUT")
    with pytest.raises(StoreFull, match="delete what is not needed"):
        over_faulty.put(context, container, "a", [b"x"])


# When the store or the link fails.


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 498])
def test_a_store_that_fails_may_be_tried_again(
    over_faulty: SwiftStorage, faulty: FaultyLink, context: RequestContext, container: str, put: Put, status: int
) -> None:
    part = put("a", b"x")
    asks: list[Callable[[], object]] = [
        lambda: over_faulty.put(context, container, "a", [b"y"]),
        lambda: over_faulty.put(context, container, "a", pieces(b"y")),
        lambda: b"".join(over_faulty.get(context, container, "a")),
        lambda: over_faulty.size(context, container, "a"),
        lambda: over_faulty.list(context, container),
        lambda: over_faulty.join(context, container, "whole", [Part("a", 1, md5(b"y"))]),
        lambda: over_faulty.delete(context, container, "a"),
    ]
    assert part.size == 1
    for ask in asks:
        # What a join does first is to ask what the store is like, which need not be answered.
        faulty.spoil(Fault(status=status), target=f"/{container}")
        with pytest.raises(StorageUnavailable, match=f"{status}.*try again"):
            ask()
        ask()
    assert over_faulty.list(context, container) == ["whole"]


def test_a_connection_that_breaks_in_the_middle_of_an_object_leaves_what_was_there(
    swift: Swift, over_cable: SwiftStorage, cable: Cable, context: RequestContext, container: str, put: Put, read: Read
) -> None:
    put("a", b"before")
    content = os.urandom(8 * MIB)
    for chunks in (pieces(content), [content]):
        cable.break_after = 4 * MIB
        with pytest.raises(StorageUnavailable):
            over_cable.put(context, container, "a", chunks)
        cable.break_after = None
        assert read("a") == b"before"
    assert cable.sent > 4 * MIB
    over_cable.put(context, container, "a", pieces(content))
    assert read("a") == content


def test_a_source_that_fails_leaves_what_was_there(
    swift: Swift, storage: SwiftStorage, context: RequestContext, container: str, put: Put, read: Read
) -> None:
    def failing() -> Iterator[bytes]:
        yield os.urandom(2 * MIB)
        raise ZeroDivisionError

    put("a", b"before")
    given_up = "Client disconnected"
    before = swift.said(given_up)
    with pytest.raises(ZeroDivisionError):
        storage.put(context, container, "a", failing())
    eventually(lambda: swift.said(given_up) > before)
    assert read("a") == b"before"


@pytest.mark.parametrize("kind", [list, iter])
def test_what_was_damaged_on_the_way_is_not_kept(
    over_cable: SwiftStorage,
    cable: Cable,
    storage: SwiftStorage,
    context: RequestContext,
    container: str,
    kind: Callable[..., Any],
) -> None:
    storage.put(context, container, "other", [b"x"])
    cable.damage_at = MIB
    with pytest.raises(StorageUnavailable):
        over_cable.put(context, container, "a", kind([os.urandom(2 * MIB)]))
    assert cable.damage_at is None
    assert storage.list(context, container) == ["other"]


@pytest.mark.parametrize("fault", [Fault(truncate_after=2 * MIB), Fault(reset_after=2 * MIB)])
def test_an_object_that_breaks_off_is_an_error_and_no_end(
    over_faulty: SwiftStorage,
    faulty: FaultyLink,
    context: RequestContext,
    container: str,
    put: Put,
    fault: Fault,
) -> None:
    content = os.urandom(4 * MIB)
    put("a", content)
    faulty.spoil(fault, method="GET")
    found = bytearray()
    chunks = over_faulty.get(context, container, "a")
    with pytest.raises(StorageUnavailable, match="try again"):
        found.extend(itertools.chain.from_iterable(chunks))
    assert content.startswith(found)
    assert len(found) <= 2 * MIB
    assert b"".join(over_faulty.get(context, container, "a")) == content


def test_a_large_object_whose_part_has_gone_is_an_error_and_no_end(
    storage: SwiftStorage, context: RequestContext, container: str, put: Put, read: Read
) -> None:
    parts = [put(f"id/{number}", os.urandom(MIB)) for number in range(3)]
    storage.join(context, container, "id.backup", parts)
    storage.delete(context, container, "id/2")
    with pytest.raises(StorageError):
        read("id.backup")


def test_an_answer_that_is_lost_may_be_asked_for_again(
    over_faulty: SwiftStorage, faulty: FaultyLink, context: RequestContext, container: str, put: Put, read: Read
) -> None:
    put("a", b"before")
    faulty.spoil(Fault(lost=True), method="PUT")
    with pytest.raises(StorageUnavailable):
        over_faulty.put(context, container, "a", [b"after"])
    assert over_faulty.put(context, container, "a", [b"after"]) == len(b"after")
    assert read("a") == b"after"


@hurried
def test_a_silent_store_is_given_up_in_time(
    over_faulty: SwiftStorage, faulty: FaultyLink, context: RequestContext, container: str
) -> None:
    faulty.spoil(Fault(delay=HURRIED + PATIENT))
    began = time.monotonic()
    with pytest.raises(StorageUnavailable):
        over_faulty.list(context, container)
    assert HURRIED <= time.monotonic() - began < PATIENT


@pytest.mark.parametrize("patience", [5])
def test_a_slow_link_is_slow_and_no_error(
    over_cable: SwiftStorage, cable: Cable, patience: int, context: RequestContext, container: str, read: Read, put: Put
) -> None:
    put("other", b"x")
    # More than the buffers on the way hold.
    content = os.urandom(16 * MIB)
    cable.pace = 2 * MIB
    began = time.monotonic()
    over_cable.put(context, container, "a", pieces(content))
    assert time.monotonic() - began > patience
    assert read("a") == content


def test_a_cancel_ends_what_is_sent_and_leaves_what_was_there(
    over_cable: SwiftStorage, cable: Cable, context: RequestContext, container: str, put: Put, read: Read
) -> None:
    put("a", b"before")
    cable.pace = 1 << 16
    with cancelled_once(lambda: cable.sent > 0):
        over_cable.put(context, container, "a", pieces(os.urandom(16 * MIB)))
    cable.unplug()
    assert read("a") == b"before"


def test_a_cancel_ends_what_is_read(
    over_faulty: SwiftStorage, faulty: FaultyLink, context: RequestContext, container: str, put: Put
) -> None:
    put("a", os.urandom(4 * MIB))
    faulty.spoil(Fault(pace=1 << 16), method="GET")
    with cancelled_once():
        for _ in over_faulty.get(context, container, "a"):
            pass


def test_the_time_of_a_step_ends_what_is_sent_without_a_wait(
    storage: SwiftStorage, context: RequestContext, container: str
) -> None:
    with timed_out_after(0.5):
        storage.put(context, container, "a", itertools.repeat(b"x"))
    assert storage.list(context, container) == []


# Connections.


def test_one_connection_serves_one_request_after_another(
    over_cable: SwiftStorage, cable: Cable, swift: Swift, context: RequestContext, container: str
) -> None:
    url = f"http://{LOOPBACK}:{cable.port}{swift.path}"
    for number in range(3):
        store = over_cable.at(url)
        store.put(context, container, f"{number}", pieces(os.urandom(MIB)))
        store.put(context, container, f"{number}", [b"x"])
        assert b"".join(store.get(context, container, f"{number}")) == b"x"
        with pytest.raises(NoSuchObject):
            store.get(context, container, "nothing")
        store.size(context, container, f"{number}")
        store.list(context, container)
        store.join(context, container, "whole", [Part("0", 1, md5(b"x"))])
        store.delete(context, container, "whole")
    assert cable.plugged == 1


def test_a_connection_that_was_closed_meanwhile_is_made_anew(
    over_cable: SwiftStorage, cable: Cable, context: RequestContext, container: str
) -> None:
    for number in range(3):
        over_cable.put(context, container, f"{number}", pieces(b"x"))
        cable.unplug()
    assert over_cable.list(context, container) == ["0", "1", "2"]
    assert cable.plugged == 4


def test_segments_may_be_sent_at_the_same_time(
    storage: SwiftStorage, context: RequestContext, container: str, read: Read
) -> None:
    contents = {f"{number}": os.urandom(2 * MIB) for number in range(6)}

    def send(name: str) -> int:
        return storage.put(context, container, name, pieces(contents[name]))

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(send, contents)) == 12 * MIB
    assert {name: read(name) for name in contents} == contents


@pytest.mark.parametrize(
    ("host", "known", "insecure", "taken"),
    [
        ("localhost", True, False, True),
        (LOOPBACK, True, False, False),
        ("localhost", False, False, False),
        (LOOPBACK, False, True, True),
    ],
)
def test_a_store_must_be_who_it_says_it_is_unless_the_operator_does_not_care(
    conf: cfg.ConfigOpts,
    swift: Swift,
    context: RequestContext,
    container: str,
    tmp_path: Path,
    host: str,
    known: bool,
    insecure: bool,
    taken: bool,
) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("localhost")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    conf.set_override("ca_file", str(authority.file) if known else None, group="swift")
    conf.set_override("insecure", insecure, group="swift")
    content = os.urandom(3 * MIB)
    with Cable(swift.port, tls) as cable:
        storage = SwiftStorage(conf).at(f"https://{host}:{cable.port}{swift.path}")
        if taken:
            storage.put(context, container, "a", pieces(content))
            assert b"".join(storage.get(context, container, "a")) == content
        else:
            with pytest.raises(StorageError, match="not trusted") as raised:
                storage.put(context, container, "a", [content])
            assert not isinstance(raised.value, StorageUnavailable)
            assert cable.sent == 0


# Logs are published.


class Logging(GuestLogs):
    """A server with one log."""

    def __init__(self, guest: Guest, path: Path) -> None:
        super().__init__(guest)
        self.path = path

    def logs(self) -> Sequence[Log]:
        return [Log("error", LogKind.SYS, self.path)]

    def switch_log(self, log: Log, enabled: bool) -> bool:
        raise NotImplementedError

    def log_enabled(self, log: Log) -> bool:
        raise NotImplementedError


@pytest.fixture
def logging(conf: cfg.ConfigOpts, swift: Swift, container: str, tmp_path: Path) -> Iterator[Logging]:
    conf.set_override("url", swift.url, group="swift")
    conf.set_override("guest_log_container_name", container)
    conf.set_override("guest_log_limit", 1000)
    with contextlib.closing(Store(tmp_path)) as store:
        guest = Guest(
            id="6c6f6e67-0000-4000-8000-000000000001",
            datastore="testdb",
            conf=conf,
            state_dir=tmp_path,
            record=InstanceRecord(store),
            processes=PlainControl(tmp_path),
            storage={"swift": SwiftStorage(conf)},
        )
        yield Logging(guest, tmp_path / "error.log")


def test_a_log_is_published_where_troves_clients_look_for_it(
    swift: Swift, logging: Logging, context: RequestContext, container: str
) -> None:
    lines = [b"line %d of the log\n" % number for number in range(100)]
    logging.path.write_bytes(b"".join(lines[:60]))
    logging.guest_log_action(context, "error", publish=True)
    with logging.path.open("ab") as file:
        file.writelines(lines[60:])
    (details,) = logging.guest_log_list(context)
    assert (details.status, details.published) == ("Partial", len(b"".join(lines[:60])))

    details = logging.guest_log_action(context, "error", publish=True)

    assert (details.status, details.container, details.pending) == ("Published", container, 0)
    storage = logging.guest.storage["swift"]
    names = storage.list(context, container, details.prefix)
    found = [swift.ask("GET", f"/{container}/{name}") for name in names]
    assert b"".join(one.content for one in found) == b"".join(lines)
    assert [int(one.headers["x-object-meta-lines"]) for one in found] == [one.content.count(b"\n") for one in found]
    details = logging.guest_log_action(context, "error", discard=True)
    assert (details.published, storage.list(context, container)) == (0, [])


def test_publishing_with_an_expired_token_says_what_to_do(
    swift: Swift, logging: Logging, context: RequestContext
) -> None:
    logging.path.write_bytes(b"a line\n")
    swift.expire_tokens()
    with pytest.raises(TokenRefused, match="ask again with a fresh token"):
        logging.guest_log_action(context, "error", publish=True)
    fresh = RequestContext({"auth_token": swift.token(), "is_admin": True})
    assert logging.guest_log_action(fresh, "error", publish=True).status == "Published"
