"""A backup whose stream can be made again goes on where an agent, or its worker, has died."""

import contextlib
import os
import random
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg

from guestagent import conf as runtime_options
from guestagent.backup import reader
from guestagent.backup.catalog import Catalog
from guestagent.backup.keyring import Keyring
from guestagent.backup.settings import Settings
from guestagent.contract.context import RequestContext
from guestagent.contract.operations import CodePath
from guestagent.storage.local import LocalStorage
from tests.support.agent import AgentProcess
from tests.support.code_path import PATH
from tests.support.conductor import Conductor, Report
from tests.support.poll import eventually
from tests.support.rabbit import Rabbit
from tests.support.wire import Wire, request_context

KEY = "0123456789abcdef" * 4
SIZE = 3_000_000
SEGMENT = 1 << 17
SLOW = 1_000_000
CONTAINER = "database_backups"


class Hoarder:
    """A guest whose data are one file; its backups go slowly until it is told otherwise."""

    def __init__(self, directory: Path, broker: Rabbit, exchange: str, wire: Wire, conductor: Conductor) -> None:
        self.wire, self.conductor = wire, conductor
        self.agent = AgentProcess(
            directory / "agent",
            str(uuid.uuid4()),
            transport_url=broker.url,
            exchange=exchange,
            datastore="hoarder",
            options={
                "image": {"backup_strategies": "hoard"},
                "backup": {
                    "encryption_keys": f"first:{KEY}",
                    "segment_size": SEGMENT,
                    "bandwidth_limit": SLOW,
                },
            },
        )
        self.agent.state_dir.mkdir(mode=0o700)
        self.backup_id = str(uuid.uuid4())
        self.write(1)
        wire.declare_guest(self.agent.guest_id)
        self.agent.boot(wire)

    @property
    def place(self) -> Path:
        return self.agent.storage_dir / CONTAINER / self.backup_id

    @property
    def draft(self) -> Path:
        return self.agent.state_dir / "draft"

    def content(self, seed: int) -> bytes:
        return random.Random(seed).randbytes(SIZE)

    def write(self, seed: int) -> None:
        """Replace the data, as databases do: under a new name."""
        unfinished = self.agent.state_dir / "unfinished"
        unfinished.write_bytes(self.content(seed))
        unfinished.rename(self.agent.state_dir / "data")

    def hurry(self) -> None:
        self.agent.files["machine.conf"]["backup"]["bandwidth_limit"] = 0
        self.agent.write_files()

    def begin(self) -> None:
        """Ask for a backup, and return when some of it is in the store."""
        info = {"id": self.backup_id, "storage_driver": "local"}
        context = request_context("trove.common.notification.DBaaSBackupCreate")
        self.wire.cast(self.agent.guest_id, "create_backup", {"backup_info": info}, context=context)
        eventually(lambda: len(self.segments()) >= 4, timeout=30, message=self.agent.tail)

    def segments(self) -> dict[str, tuple[int, int]]:
        """What is in the store of the backup, and which file each object is: one that is put again is another one."""
        found = {}
        for path in sorted(self.place.glob("0*")):
            with contextlib.suppress(FileNotFoundError):
                found[path.name] = path.stat().st_ino, path.stat().st_mtime_ns
        return found

    def end(self, heard: int) -> Report:
        return self.conductor.wait_for_method(
            self.agent.guest_id, "notify_end", "notify_exc_info", timeout=60, after=heard
        )

    def states(self, heard: int) -> list[Any]:
        return [one.args["state"] for one in self.conductor.reports[heard:] if one.method == "update_backup"]

    def stream(self) -> bytes:
        conf = cfg.ConfigOpts()
        runtime_options.register(conf)
        conf([], default_config_files=[], default_config_dirs=[])
        conf.set_override("storage_dir", str(self.agent.storage_dir), "agent")
        storage, context = LocalStorage(conf), RequestContext()
        found = Catalog(storage, context, CONTAINER).find(self.backup_id)
        assert found is not None
        settings = Settings(keys=Keyring({"first": bytes.fromhex(KEY)}))
        return b"".join(reader.read(found, storage, context, CONTAINER, settings))


@pytest.fixture
def hoarder(tmp_path: Path, broker: Rabbit, exchange: str, wire: Wire, conductor: Conductor) -> Iterator[Hoarder]:
    made = Hoarder(tmp_path, broker, exchange, wire, conductor)
    yield made
    made.agent.close()
    # Shown by pytest beside a test that failed.
    print(made.agent.tail(100))


def test_what_is_in_the_store_is_not_sent_again(hoarder: Hoarder) -> None:
    hoarder.begin()
    hoarder.agent.kill()
    # The data have gone on; what the backup is made of has not.
    hoarder.write(2)
    before, heard = hoarder.segments(), len(hoarder.conductor.reports)
    hoarder.hurry()
    hoarder.agent.boot(hoarder.wire)
    ended = hoarder.end(heard)
    if PATH is CodePath.CONVERGENCE:
        assert (ended.method, hoarder.states(heard)[-1]) == ("notify_end", "COMPLETED")
        assert hoarder.stream() == hoarder.content(1)
        after = hoarder.segments()
        assert len(after) > len(before)
        assert {name: after[name] for name in before} == before
    else:
        assert (ended.method, hoarder.states(heard)) == ("notify_exc_info", ["FAILED"])
        assert hoarder.segments() == {}
    assert not hoarder.draft.exists()


def test_a_stream_that_has_become_another_one_begins_anew(hoarder: Hoarder) -> None:
    hoarder.begin()
    hoarder.agent.kill()
    before, heard = hoarder.segments(), len(hoarder.conductor.reports)
    with (hoarder.draft / "kept" / "data").open("r+b") as stream:
        stream.seek(SEGMENT * 2)
        stream.write(b"something else")
    hoarder.write(3)
    hoarder.hurry()
    hoarder.agent.boot(hoarder.wire)
    ended = hoarder.end(heard)
    if PATH is CodePath.CONVERGENCE:
        assert (ended.method, hoarder.states(heard)[-1]) == ("notify_end", "COMPLETED")
        assert "it begins anew" in hoarder.agent.text()
        assert hoarder.stream() == hoarder.content(3)
        assert not set(hoarder.segments().values()) & set(before.values())
    assert not hoarder.draft.exists()


def test_a_worker_that_dies_fails_its_backup_and_nothing_stays(hoarder: Hoarder) -> None:
    heard = len(hoarder.conductor.reports)
    hoarder.begin()
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            text = line.read_bytes()
            if b"guestagent.backup.worker" in text and str(hoarder.agent.directory).encode() in text:
                os.kill(int(line.parent.name), signal.SIGKILL)
    ended = hoarder.end(heard)
    assert (ended.method, hoarder.states(heard)) == ("notify_exc_info", ["BUILDING", "FAILED"])
    assert "SIGKILL" in ended.args["message"]
    assert not hoarder.draft.exists()
    assert not [path for path in hoarder.agent.storage_dir.rglob("*") if path.is_file()]
