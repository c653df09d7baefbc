"""What is secret in backups, and where none of it ever is: watched while they are made, restored, and refused."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from guestagent_mariadb import option_file

from guestagent.conformance.conductor import Conductor, Report
from guestagent.conformance.directories import reachable_directory
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire
from tests.functional.mariadb.backed_up import Instance
from tests.support.backed_up import KEY, PASSWORD, backup_info, completed
from tests.support.onlooker import Onlooker
from tests.support.s3 import OWNER, S3

RPC_KEY = "Zx8Qm3Wv6Ny1Bt5Kc9Rj2Hs7Lf4Pd0Ga"
OTHER_KEY = "fedcba9876543210" * 4
OTHER_SECRET = "Ny4Kthe-secret-of-yesterday"
BUCKET = "guests"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A store that speaks both, Swift's language and Amazon's."""
    with S3(tmp_path_factory.mktemp("store")) as made:
        made.make_bucket(BUCKET)
        yield made


class Watched:
    """Two instances, what was said of them, and what is secret.

    :ivar messages: the sentences of errors.
    """

    def __init__(self, first: Instance, second: Instance, store: S3) -> None:
        self.instances = (first, second)
        self.messages: list[str] = []
        self.tokens = {store.token()}
        self._store = store
        self._swift = {"storage_driver": "swift", "swift_url": store.url}
        self._s3 = {"storage_driver": "s3"}

    def work(self) -> None:
        """Everything that takes a secret, and what goes wrong with each."""
        first, second = self.instances
        assert first.prepare().method == "notify_end"
        first.fill("wares")
        full = completed(first.back_up())
        assert full["location"].startswith(self._store.url)
        first.store = self._s3
        assert completed(first.back_up())["location"].startswith("s3://")
        self._go_wrong(first)
        second.keys.write_text(f"first {OTHER_KEY}\n")
        info = backup_info(full, self._swift)
        self.messages.append(_failed([second.prepare(databases=[], users=[], backup_info=info)]))
        second.keys.write_text(f"first {KEY}\n")
        assert second.prepare(databases=[], users=[], backup_info=info).method == "notify_end"
        assert second.checksum("wares") == first.checksum("wares")

    def _go_wrong(self, first: Instance) -> None:
        credentials = first.agent.directory / "s3"
        good = credentials.read_text()
        credentials.write_text(good.replace(OWNER.secret_key, OTHER_SECRET))
        self.messages.append(_failed(first.back_up()))
        credentials.write_text(good)
        first.keys.write_text(f"first {KEY[:-1]}\n")
        self.messages.append(_failed(first.back_up()))
        first.keys.write_text(f"first {KEY}\n")
        first.store = self._swift
        self._store.expire_tokens()
        self.messages.append(_failed(first.back_up()))
        for instance in self.instances:
            instance.token = self._store.token()
        self.tokens |= {str(first.token)}
        first.wire.call(first.id, "stop_db", key=RPC_KEY, timeout=60)
        self.messages.append(_failed(first.back_up()))
        first.wire.call(first.id, "restart", key=RPC_KEY, timeout=60)

    def secrets(self) -> dict[str, bytes]:
        """All of them, by what they are."""
        own = {f"administrator {number}": _administrator(one) for number, one in enumerate(self.instances)}
        tokens = {f"token {number}": token for number, token in enumerate(self.tokens)}
        texts = {
            **own,
            **tokens,
            "key": KEY[:-1],
            "another key": OTHER_KEY,
            "RPC key": RPC_KEY,
            "secret of S3": OWNER.secret_key,
            "another secret of S3": OTHER_SECRET,
            "user": PASSWORD,
        }
        return {**{name: text.encode() for name, text in texts.items()}, "raw key": bytes.fromhex(KEY)}

    def holders(self, secret: bytes) -> list[str]:
        """The files of both guests that hold it, by their names."""
        roots = [instance.agent.directory.parent for instance in self.instances]
        files = [path for root in roots for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
        return sorted({path.name for path in files if secret in path.read_bytes()})


@pytest.fixture
def watched(
    store: S3, broker: Rabbit, exchange: str, wire: Wire, conductor: Conductor
) -> Iterator[tuple[Watched, set[bytes]]]:
    swift = {"storage_driver": "swift", "swift_url": store.url}
    with reachable_directory() as directory:
        made = []
        for name in ("first", "second"):
            token = store.token()
            one = Instance(
                directory / name, directory / "local", broker, exchange, wire, conductor, swift, token, RPC_KEY
            )
            credentials = OWNER.write(one.agent.directory / "s3")
            groups = one.agent.files["machine.conf"]
            groups["DEFAULT"] = {"debug": True}
            groups["image"]["storage_strategies"] = "local,swift,s3"
            groups["s3"] = {"endpoint_url": store.endpoint, "bucket": BUCKET, "credentials_file": credentials}
            made.append(one)
        work = Watched(made[0], made[1], store)
        try:
            with Onlooker() as seen:
                work.work()
            yield work, seen
        finally:
            for one in made:
                one.close()
                # Shown by pytest beside a test that failed.
                print(f"--- log of {one.id}\n{one.agent.tail(60)}")


BELONGS: Mapping[str, list[str]] = {
    "administrator 0": ["mariadb-administrator.cnf"],
    "administrator 1": ["mariadb-administrator.cnf"],
    "key": ["keys"],
    "RPC key": ["guest_info.conf"],
    "secret of S3": ["s3"],
}
"""The files that hold a secret; every other one is in none."""


def test_no_secret_is_anywhere_but_where_it_belongs(
    watched: tuple[Watched, set[bytes]], store: S3, conductor: Conductor
) -> None:
    work, seen = watched
    for name in (b"guestagent.backup.worker", b"mariadb-backup", b"mbstream"):
        assert any(name in shown for shown in seen), f"the onlooker has not seen {name!r}"
    assert len(work.messages) == 5
    reports = repr([report.args for report in conductor.reports]).encode()
    kept = list(_kept(store))
    assert any(b'"schema"' in content for content in kept)
    for name, secret in work.secrets().items():
        assert not [shown for shown in seen if secret in shown], f"{name} in what a process shows"
        assert secret not in reports, f"{name} in what the conductor hears"
        assert not [content for content in kept if secret in content], f"{name} in the store"
        assert not [text for text in work.messages if secret.decode(errors="replace") in text], f"{name} in an error"
        assert work.holders(secret) == BELONGS.get(name, []), f"{name} in a file"
    log = "\n".join(instance.agent.text() for instance in work.instances)
    assert " DEBUG " in log


def _kept(store: S3) -> Iterator[bytes]:
    """Everything in the store: the names, the headers and the contents of all objects."""
    for container in store.ask("GET", "").content.decode().split():
        for name in store.keys(container):
            reply = store.ask("GET", f"/{container}/{name}")
            yield name.encode() + repr(reply.headers).encode() + reply.content


def _failed(reports: list[Report]) -> str:
    ended = reports[-1]
    assert ended.method == "notify_exc_info", ended.args
    return f"{ended.args['message']} {ended.args['exception']}"


def _administrator(instance: Instance) -> str:
    text = (instance.agent.state_dir / "mariadb-administrator.cnf").read_text()
    facts: Mapping[str, Any] = option_file.values(text, {"password"}, "client")
    return str(facts["password"])
