"""The strategy for S3 against a store that verifies what it is sent, over links that are good and bad."""

import concurrent.futures
import datetime
import hashlib
import json
import os
import socket
import tracemalloc
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from guestagent_s3 import bucket, upload
from guestagent_s3.errors import ClockSkewed
from guestagent_s3.pieces import Piece, piece
from guestagent_s3.storage import S3Storage
from oslo_config import cfg

from guestagent.conformance.certificates import Authority
from guestagent.conformance.ports import LOOPBACK
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import InvalidValue, NotFound, StorageError, TimedOut
from guestagent.storage.base import Part
from guestagent.storage.http import StorageDenied, StorageUnavailable
from guestagent.system.waiting import Interruption
from tests.support.faults import Fault, FaultyLink
from tests.support.interruptions import cancelled_once
from tests.support.s3 import OWNER, S3, STRANGER, User

CONTEXT = RequestContext()
OBJECT = (CONTEXT, "logs", "a")
PART = 5 << 20
ATTEMPTS = 3

MakeStorage = Callable[..., S3Storage]


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with S3(tmp_path_factory.mktemp("s3")) as s3:
        yield s3


@pytest.fixture
def link(s3: S3) -> Iterator[FaultyLink]:
    """The way to the store."""
    with FaultyLink(s3.port) as link:
        yield link


@pytest.fixture
def name(s3: S3) -> str:
    """The test's own bucket, empty."""
    name = f"guests-{uuid.uuid4().hex[:8]}"
    s3.make_bucket(name)
    return name


@pytest.fixture
def make(link: FaultyLink, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeStorage:
    """Makes strategies; takes the options that are to be others than the test's own."""
    monkeypatch.setattr(bucket, "FIRST_PAUSE", 0.01)

    def make(user: User = OWNER, **options: Any) -> S3Storage:
        conf = cfg.ConfigOpts()
        storage = S3Storage(conf)
        conf([], default_config_files=[], default_config_dirs=[])
        defaults = {
            "endpoint_url": link.url,
            "bucket": name,
            "credentials_file": str(user.write(tmp_path / f"{uuid.uuid4().hex}.credentials")),
            "part_size": PART >> 20,
            "attempts": ATTEMPTS,
            "timeout": 10,
        }
        for option, value in {**defaults, **options}.items():
            conf.set_override(option, value, group="s3")
        return storage

    return make


@pytest.fixture
def storage(make: MakeStorage) -> S3Storage:
    return make()


def read(storage: S3Storage, container: str, name: str) -> bytes:
    return b"".join(storage.get(CONTEXT, container, name))


def broken_off(content: bytes, error: Exception) -> Iterator[bytes]:
    """A source that fails when it has given so much."""
    yield content
    raise error


# What is kept


@pytest.mark.parametrize("size", [0, 1, 100_000, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 100_000])
def test_an_object_comes_back_as_it_was_put(storage: S3Storage, size: int) -> None:
    content = os.urandom(size)
    chunks = [content[:1], b"", content[1:700_000], content[700_000:]]

    assert storage.put(CONTEXT, "logs", "id/general/log-1", iter(chunks)) == size
    assert read(storage, "logs", "id/general/log-1") == content
    assert storage.size(CONTEXT, "logs", "id/general/log-1") == size


def test_what_fits_is_sent_at_once_and_what_does_not_in_parts(storage: S3Storage, link: FaultyLink) -> None:
    storage.put(CONTEXT, "logs", "small", [b"x" * PART])
    assert [exchange.method for exchange in link.exchanges] == ["PUT"]
    link.exchanges.clear()

    storage.put(CONTEXT, "logs", "large", [b"x" * (2 * PART + 1)])

    assert [exchange.method for exchange in link.exchanges] == ["POST", "PUT", "PUT", "PUT", "POST"]
    assert [exchange.size for exchange in link.exchanges if exchange.method == "PUT"] == [PART, PART, 1]


def test_chunks_are_taken_as_they_are_needed(storage: S3Storage, link: FaultyLink) -> None:
    ahead = []

    def source() -> Iterator[bytes]:
        for number in range(8):
            sent = sum(exchange.size for exchange in link.exchanges if exchange.method == "PUT")
            ahead.append(number * 2_000_000 - sent)
            yield b"x" * 2_000_000

    storage.put(CONTEXT, "logs", "large", source())

    assert max(ahead) <= PART + 2_000_000


def test_an_object_of_any_size_needs_the_memory_of_one_part(make: MakeStorage, s3: S3) -> None:
    storage = make(endpoint_url=s3.endpoint)  # the link is in this process and holds bodies of its own
    storage.put(CONTEXT, "logs", "first", [b"x"])  # what is imported and connected once is not the object's

    def source() -> Iterator[bytes]:
        for _ in range(25):
            yield os.urandom(1 << 20)

    tracemalloc.start()
    try:
        assert storage.put(CONTEXT, "logs", "large", source()) == 25 << 20
        put = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        assert sum(map(len, storage.get(CONTEXT, "logs", "large"))) == 25 << 20
        got = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert put < 2 * PART
    assert got < PART


def test_putting_again_replaces(storage: S3Storage) -> None:
    for content in (b"a longer text", b"short", os.urandom(PART + 1), b"again"):
        storage.put(CONTEXT, "logs", "a", [content])
        assert read(storage, "logs", "a") == content


def test_metadata_is_kept_with_the_object(storage: S3Storage, s3: S3, name: str) -> None:
    storage.put(CONTEXT, "logs", "a", [b"x"], {"lines": "12", "a-b": "c  d"})
    storage.put(CONTEXT, "logs", "large", [b"x" * (PART + 1)], {"lines": "13"})

    assert s3.ask("HEAD", f"/{name}/logs/a").headers["x-object-meta-lines"] == "12"
    assert s3.ask("HEAD", f"/{name}/logs/large").headers["x-object-meta-lines"] == "13"


@pytest.mark.parametrize("metadata", [{"a": "b\r\nHost: c"}, {"a b": "c"}, {"a": "ü"}, {"": "c"}])
def test_metadata_that_no_header_can_hold_is_refused(
    storage: S3Storage, link: FaultyLink, metadata: dict[str, str]
) -> None:
    with pytest.raises(InvalidValue, match="The metadata"):
        storage.put(CONTEXT, "logs", "a", [b"x"], metadata)
    assert link.exchanges == []


def test_names_are_listed_sorted_by_prefix_and_over_many_pages(storage: S3Storage, link: FaultyLink) -> None:
    names = sorted([f"id/log-{number:02d}" for number in range(11)] + ["id2/log", "other"])
    for name in names:
        storage.put(CONTEXT, "logs", name, [b"x"])
    storage.put(CONTEXT, "logs2", "id/log-99", [b"x"])
    link.exchanges.clear()

    assert storage.list(CONTEXT, "logs") == names
    assert len(link.exchanges) > 2
    assert storage.list(CONTEXT, "logs", "id/") == names[:11]
    assert storage.list(CONTEXT, "logs", "id/log-0") == names[:10]
    assert storage.list(CONTEXT, "logs", "zz") == []
    assert storage.list(CONTEXT, "none") == []


@pytest.mark.parametrize(
    "strange",
    ["with space", "a+b%20c", "quote'\"`$(id)", "<&>", "new\nline", "ünï/ሴ/😀", "...", "-rf", "a..b", "*?#;=&"],
)
def test_strange_names_are_names(storage: S3Storage, strange: str) -> None:
    storage.put(CONTEXT, "logs", strange, [strange.encode()])

    assert storage.list(CONTEXT, "logs") == [strange]
    assert storage.list(CONTEXT, "logs", strange) == [strange]
    assert read(storage, "logs", strange) == strange.encode()
    assert storage.size(CONTEXT, "logs", strange) == len(strange.encode())
    storage.delete(CONTEXT, "logs", strange)
    assert storage.list(CONTEXT, "logs") == []


def test_what_is_not_there_is_not_found_at_once(storage: S3Storage) -> None:
    for ask in (storage.get, storage.size):
        with pytest.raises(NotFound, match="logs/none does not exist in the object store"):
            ask(CONTEXT, "logs", "none")


def test_deleting_what_is_not_there_changes_nothing(storage: S3Storage) -> None:
    storage.put(CONTEXT, "logs", "a", [b"x"])
    for _ in range(2):
        storage.delete(CONTEXT, "logs", "b")
    assert storage.list(CONTEXT, "logs") == ["a"]


def test_a_prefix_keeps_guests_of_one_bucket_apart(make: MakeStorage, s3: S3, name: str) -> None:
    one, two = make(prefix="one"), make(prefix="/two/deep/")
    one.put(CONTEXT, "logs", "a", [b"one"])
    two.put(CONTEXT, "logs", "a", [b"two"])

    assert read(one, "logs", "a") == b"one"
    assert two.list(CONTEXT, "logs") == ["a"]
    assert s3.keys(name) == ["one/logs/a", "two/deep/logs/a"]


def test_threads_can_share_a_store(storage: S3Storage) -> None:
    contents = {f"{number}": os.urandom(300_000) for number in range(12)}
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        [*pool.map(lambda name: storage.put(CONTEXT, "logs", name, [contents[name]]), contents)]
        found = dict(zip(contents, pool.map(lambda name: read(storage, "logs", name), contents), strict=True))

    assert found == contents


def test_a_bucket_can_be_named_by_its_host(
    make: MakeStorage, name: str, link: FaultyLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = socket.getaddrinfo
    asked = []

    def resolved(host: str, *how: Any, **more: Any) -> Any:
        asked.append(host)
        return resolve(LOOPBACK if host.endswith("s3.test") else host, *how, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    storage = make(endpoint_url=f"http://s3.test:{link.port}", addressing_style="virtual")
    content = os.urandom(PART + 1)

    storage.put(CONTEXT, "logs", "a b", [content])

    assert read(storage, "logs", "a b") == content
    assert storage.list(CONTEXT, "logs") == ["a b"]
    assert f"{name}.s3.test" in asked
    assert all(exchange.target.startswith(("/logs/a%20b", "/?")) for exchange in link.exchanges)


# Joining


def parts_of(storage: S3Storage, count: int = 7) -> list[Part]:
    parts = []
    for number in range(count):
        content = b"x" * (number + 1)
        storage.put(CONTEXT, "backups", f"id/{number:08d}", [content])
        parts.append(Part(f"id/{number:08d}", number + 1, hashlib.md5(content).hexdigest()))
    return parts


def test_parts_are_joined_by_a_list_of_them(storage: S3Storage, s3: S3, name: str, link: FaultyLink) -> None:
    parts = parts_of(storage)
    link.exchanges.clear()

    joined = storage.join(CONTEXT, "backups", "id", parts)

    assert link.seen("HEAD") == 0, "a list says it all"
    assert joined.location == f"s3://{name}/backups/id"
    assert storage.locate(joined.location) == ("backups", "id")
    index = json.loads(read(storage, *storage.locate(joined.location)))
    assert [part["name"] for part in index] == [part.name for part in parts]
    assert s3.ask("HEAD", f"/{name}/backups/id").headers["etag"].strip('"') == joined.checksum
    assert storage.join(CONTEXT, "backups", "id", parts) == joined
    assert len(storage.list(CONTEXT, "backups", "id/")) == len(parts)


def test_a_part_that_was_sent_in_parts_is_a_part(storage: S3Storage) -> None:
    content = os.urandom(PART + 1)
    storage.put(CONTEXT, "backups", "id/large", [content])

    storage.join(CONTEXT, "backups", "id", [Part("id/large", len(content), hashlib.md5(content).hexdigest())])


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (Part("id/none", 1, "x"), "part id/none is not there"),
        (Part("id/00000000", 2, hashlib.md5(b"x").hexdigest()), "part id/00000000 has another size"),
        (Part("id/00000000", 1, hashlib.md5(b"y").hexdigest()), "part id/00000000 has another content"),
        (Part("elsewhere", 1, "x"), "part elsewhere is not there"),
    ],
)
def test_parts_that_are_others_are_not_joined(storage: S3Storage, wrong: Part, problem: str) -> None:
    parts = parts_of(storage, 2)

    with pytest.raises(StorageError, match=problem):
        storage.join(CONTEXT, "backups", "id", [*parts, wrong])
    assert storage.list(CONTEXT, "backups") == [part.name for part in parts]


# Trust


def test_a_store_is_reached_over_tls(make: MakeStorage, s3: S3) -> None:
    storage = make(endpoint_url=s3.tls_endpoint, ca_file=str(s3.authority.file))
    content = os.urandom(PART + 1)

    storage.put(CONTEXT, "logs", "a", [content])

    assert read(storage, "logs", "a") == content


@pytest.mark.parametrize("how", ["another authority", "another name", "no authority"])
def test_a_store_that_nobody_vouches_for_is_sent_nothing(make: MakeStorage, s3: S3, tmp_path: Path, how: str) -> None:
    endpoint, ca_file = s3.tls_endpoint, str(s3.authority.file)
    if how == "another name":
        endpoint = f"https://{LOOPBACK}:{s3.tls_port}"
    else:
        ca_file = None if how == "no authority" else str(Authority(tmp_path, "Somebody else").file)

    with pytest.raises(StorageError, match="not trusted") as caught:
        make(endpoint_url=endpoint, ca_file=ca_file).put(CONTEXT, "logs", "a", [b"x"])

    assert not isinstance(caught.value, StorageUnavailable)


@pytest.mark.parametrize(
    ("user", "code"),
    [
        (User(OWNER.access_key, "another secret"), "SignatureDoesNotMatch"),
        (User("project:nobody", "secret"), "InvalidAccessKeyId|AccessDenied|SignatureDoesNotMatch"),
        (STRANGER, "AccessDenied"),
    ],
    ids=["a wrong secret", "nobody", "a stranger"],
)
def test_whom_the_store_does_not_know_or_trust_asks_once(
    make: MakeStorage, link: FaultyLink, user: User, code: str
) -> None:
    storage = make(user)

    with pytest.raises(StorageDenied, match=code) as caught:
        storage.put(CONTEXT, "logs", "a", [b"x"])
    with pytest.raises(StorageDenied):
        storage.size(CONTEXT, "logs", "a")

    assert len(link.exchanges) == 2
    assert user.secret_key not in str(caught.value)


def test_credentials_that_have_expired_are_not_tried_again(storage: S3Storage, link: FaultyLink) -> None:
    body = b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
    link.spoil(Fault(status=400, body=body), times=99)

    with pytest.raises(StorageDenied, match="The provided token has expired"):
        storage.list(CONTEXT, "logs")

    assert len(link.exchanges) == 1


def test_credentials_are_read_again_when_they_change(make: MakeStorage) -> None:
    storage = make(STRANGER)
    with pytest.raises(StorageDenied):
        storage.put(CONTEXT, "logs", "a", [b"x"])

    OWNER.write(Path(storage.conf.s3.credentials_file))

    assert storage.put(CONTEXT, "logs", "a", [b"x"]) == 1


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_wrong_clock_is_told_in_its_own_words(
    storage: S3Storage, link: FaultyLink, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    away = datetime.timedelta(hours=hours)
    monkeypatch.setattr(bucket, "_now", lambda: datetime.datetime.now(datetime.UTC) + away)

    with pytest.raises(ClockSkewed, match=r"clock and the store's are (0:59|1:00):\d\d apart.*set the guest's clock"):
        storage.put(CONTEXT, "logs", "a", [b"x"])
    with pytest.raises(ClockSkewed):
        storage.size(CONTEXT, "logs", "a")

    assert len(link.exchanges) == 2


def test_a_bucket_that_is_not_there_is_no_object_that_is_not_there(make: MakeStorage) -> None:
    storage = make(bucket="guests-none")

    for ask in (storage.list, lambda *_: storage.get(*OBJECT), lambda *_: storage.join(*OBJECT, [])):
        with pytest.raises(StorageError, match="NoSuchBucket"):
            ask(CONTEXT, "logs")


def test_a_store_of_another_region_says_which(make: MakeStorage) -> None:
    with pytest.raises(StorageError, match="another region 'us-east-1'"):
        make(region="eu-west-9").list(CONTEXT, "logs")


def test_what_arrives_as_something_else_is_not_kept(storage: S3Storage, link: FaultyLink, s3: S3, name: str) -> None:
    sent = piece(b"hello")
    damaged = Piece([b"jello"], sent.size, sent.sha256, sent.md5)

    with pytest.raises(StorageUnavailable):
        storage._bucket.ask("Writing", "PUT", "logs/a", body=damaged)

    assert link.seen("PUT") == ATTEMPTS
    assert s3.keys(name) == []


# Bad links


BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"

PASSING = [
    pytest.param(Fault(status=500), id="500"),
    pytest.param(Fault(status=503, body=BUSY), id="SlowDown"),
    pytest.param(Fault(status=502, body=b"<html>" + b"x" * 100_000), id="a proxy's page"),
    pytest.param(
        Fault(status=504, body=b"<!DOCTYPE a [<!ENTITY b 'c'>]><Error><Code>&b;</Code></Error>"), id="DOCTYPE"
    ),
    pytest.param(Fault(unread=0), id="reset"),
    pytest.param(Fault(lost=True), id="lost"),
]


@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_is_waited_for(storage: S3Storage, link: FaultyLink, fault: Fault) -> None:
    for method in ("PUT", "GET", "HEAD", "DELETE"):
        link.spoil(fault, method=method, times=ATTEMPTS - 1)

    storage.put(CONTEXT, "logs", "a", [b"hello"])
    assert read(storage, "logs", "a") == b"hello"
    assert storage.size(CONTEXT, "logs", "a") == 5
    storage.delete(CONTEXT, "logs", "a")

    assert storage.list(CONTEXT, "logs") == []
    assert link.seen("PUT") == ATTEMPTS


@pytest.mark.parametrize("fault", PASSING)
def test_what_does_not_pass_is_an_error_that_may_be_tried_again(
    storage: S3Storage, link: FaultyLink, fault: Fault
) -> None:
    storage.put(CONTEXT, "logs", "a", [b"old"])
    link.spoil(fault, times=99)

    for ask in (storage.list, lambda *_: storage.get(*OBJECT), lambda *_: storage.put(*OBJECT, [b"old"])):
        link.exchanges.clear()
        with pytest.raises(StorageUnavailable, match="try again"):
            ask(CONTEXT, "logs")
        assert len(link.exchanges) == ATTEMPTS

    link.heal()
    assert read(storage, "logs", "a") == b"old"


@pytest.mark.parametrize("fault", [Fault(truncate_after=600_000), Fault(reset_after=600_000)], ids=["cut", "reset"])
def test_an_object_that_breaks_off_is_an_error(storage: S3Storage, link: FaultyLink, fault: Fault) -> None:
    storage.put(CONTEXT, "logs", "a", [os.urandom(2_000_000)])
    link.spoil(fault, method="GET")

    with pytest.raises(StorageUnavailable, match="Reading logs/a from S3 failed"):
        read(storage, "logs", "a")


@pytest.mark.parametrize("fault", [Fault(truncate_after=60), Fault(reset_after=60)], ids=["cut", "reset"])
def test_a_list_that_breaks_off_is_asked_for_again(storage: S3Storage, link: FaultyLink, fault: Fault) -> None:
    storage.put(CONTEXT, "logs", "a", [b"x"])
    link.spoil(fault, method="GET")

    assert storage.list(CONTEXT, "logs") == ["a"]


def test_a_slow_link_is_one(make: MakeStorage, link: FaultyLink) -> None:
    storage = make(timeout=3)
    storage.put(CONTEXT, "logs", "a", [b"x" * 60_000])
    link.spoil(Fault(pace=15_000), method="GET")

    assert len(read(storage, "logs", "a")) == 60_000


def test_a_link_that_says_nothing_is_given_up(make: MakeStorage, link: FaultyLink) -> None:
    link.spoil(Fault(delay=3), times=99)

    with pytest.raises(StorageUnavailable, match="says nothing"):
        make(timeout=1, attempts=1).list(CONTEXT, "logs")


@pytest.mark.parametrize(
    ("method", "target"),
    [("POST", "?uploads"), ("PUT", "partNumber=1"), ("PUT", "partNumber=2"), ("POST", "uploadId=")],
    ids=["the beginning", "the first part", "the last part", "the end"],
)
@pytest.mark.parametrize("fault", [Fault(status=500), Fault(unread=100), Fault(unread=0), Fault(lost=True)])
def test_parts_pass_bad_links(storage: S3Storage, link: FaultyLink, fault: Fault, method: str, target: str) -> None:
    content = os.urandom(PART + 1000)
    link.spoil(fault, method=method, target=target, times=ATTEMPTS - 1)

    assert storage.put(CONTEXT, "logs", "a", [content]) == len(content)
    assert read(storage, "logs", "a") == content


@pytest.mark.parametrize(
    ("method", "target"),
    [("PUT", "partNumber=1"), ("PUT", "partNumber=2"), ("POST", "uploadId=")],
    ids=["the first part", "the last part", "the end"],
)
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(unread=0),
        Fault(status=403, body=b"<Error><Code>ExpiredToken</Code></Error>"),
        Fault(status=200, body=b"<Error><Code>InternalError</Code><Message>We failed.</Message></Error>"),
    ],
    ids=["500", "reset", "expired", "200 that is none"],
)
def test_parts_that_cannot_be_sent_leave_nothing(
    storage: S3Storage, link: FaultyLink, s3: S3, name: str, fault: Fault, method: str, target: str
) -> None:
    storage.put(CONTEXT, "logs", "a", [b"old"])
    link.spoil(fault, method=method, target=target, times=99)

    with pytest.raises(StorageError):
        storage.put(CONTEXT, "logs", "a", [b"x" * (PART + 1000)])

    assert s3.parts(name) == []
    assert read(storage, "logs", "a") == b"old"


def test_a_source_that_fails_leaves_the_old_object_and_no_parts(storage: S3Storage, s3: S3, name: str) -> None:
    storage.put(CONTEXT, "logs", "a", [b"old"])

    for size in (1000, PART + 1000, 3 * PART):
        with pytest.raises(RuntimeError, match="the dump ended early"):
            storage.put(CONTEXT, "logs", "a", broken_off(b"x" * size, RuntimeError("the dump ended early")))

    assert read(storage, "logs", "a") == b"old"
    assert s3.parts(name) == []


def test_a_cancelled_upload_ends_at_once_and_leaves_no_parts(
    storage: S3Storage, link: FaultyLink, s3: S3, name: str
) -> None:
    link.spoil(Fault(delay=15), method="PUT", target="partNumber=2")

    with cancelled_once(lambda: link.seen("PUT", "partNumber=2")):
        storage.put(CONTEXT, "logs", "a", [b"x" * 3 * PART])

    assert s3.keys(name) == []
    assert link.seen("DELETE") == 1


def test_the_time_of_a_step_ends_the_attempts(
    storage: S3Storage, link: FaultyLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "FIRST_PAUSE", 60.0)
    link.spoil(Fault(status=503), times=99)
    interruption = Interruption()

    with interruption.applied(), interruption.limited("sending", 0.3), pytest.raises(TimedOut):
        storage.put(CONTEXT, "logs", "a", [b"x"])


def test_an_object_of_too_many_parts_is_refused_and_leaves_none(
    storage: S3Storage, s3: S3, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "MOST_PARTS", 2)

    with pytest.raises(StorageError, match=r"more than 2 parts; raise \[s3\] part_size"):
        storage.put(CONTEXT, "logs", "a", [b"x" * (2 * PART + 1)])

    assert s3.parts(name) == []


def test_what_the_store_keeps_as_something_else_is_an_error(storage: S3Storage, link: FaultyLink) -> None:
    link.spoil(Fault(status=200, headers={"ETag": f'"{"0" * 32}"'}), method="PUT")

    with pytest.raises(StorageUnavailable, match="something else than was sent"):
        storage.put(CONTEXT, "logs", "a", [b"x"])


def test_an_etag_of_foreign_keys_is_no_md5(storage: S3Storage, link: FaultyLink) -> None:
    headers = {"ETag": f'"{"0" * 32}"', "x-amz-server-side-encryption": "aws:kms"}
    link.spoil(Fault(status=200, headers=headers), method="PUT")

    assert storage.put(CONTEXT, "logs", "a", [b"x"]) == 1


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "TLS"])
def test_who_is_refused_while_sending_much_hears_why(make: MakeStorage, s3: S3, secured: bool) -> None:
    endpoint = s3.tls_endpoint if secured else s3.endpoint
    storage = make(
        User(OWNER.access_key, "another secret"), endpoint_url=endpoint, ca_file=str(s3.authority.file), part_size=64
    )

    for _ in range(2):
        with pytest.raises(StorageDenied, match="SignatureDoesNotMatch"):
            storage.put(CONTEXT, "logs", "a", [bytes(20 << 20)])
