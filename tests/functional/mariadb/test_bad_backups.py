"""Instances that should begin with a backup that is not what it was: each fails and says why, and none begins empty."""

import contextlib
import hashlib
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from guestagent.conformance.agent import MODULE
from guestagent.conformance.child import processes
from guestagent.conformance.conductor import Conductor, Report
from guestagent.conformance.directories import reachable_directory
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire, request_context
from tests.functional.mariadb.backed_up import Instance
from tests.functional.mariadb.machine import FLAVOUR
from tests.support.backed_up import KEY, backup_info, completed

EXCHANGE = f"trove-bad-{uuid.uuid4().hex[:8]}"
TAG = 16
"""Bytes of the tag that a frame ends with."""


class Pair:
    """An instance with a backup and one that builds on it, and a machine that should begin with them.

    :ivar full, increment: what the control plane knows of them.
    """

    def __init__(self, source: Instance, target: Instance) -> None:
        self.source, self.target = source, target
        assert source.prepare().method == "notify_end"
        source.fill("wares")
        self.full = completed(source.back_up())
        source.fill("more")
        self.increment = completed(source.back_up(self.full))
        self._kept = source.storage.with_name("kept")
        shutil.copytree(source.storage, self._kept)
        source.wire.declare_guest(target.id)
        target.agent.boot(target.wire)

    @property
    def volume(self) -> Path:
        return Path(str(self.target.agent.files["machine.conf"]["mariadb"]["mount_point"]))

    def heal(self) -> None:
        """The store and the keys are as they were."""
        shutil.rmtree(self.source.storage)
        shutil.copytree(self._kept, self.source.storage)
        self.target.keys.write_text(f"first {KEY}\n")

    def place(self, told: dict[str, Any]) -> Path:
        """Where a backup lies."""
        return self.source.storage / "database_backups" / str(told["backup_id"])

    def segment(self, told: dict[str, Any]) -> Path:
        """The last segment of a backup."""
        return sorted(self.place(told).glob("0*"))[-1]

    def rewrite(self, told: dict[str, Any], **fields: Any) -> None:
        """Change the manifest of a backup."""
        path = self.place(told) / "manifest.json"
        path.write_bytes(msgspec.json.encode({**msgspec.json.decode(path.read_bytes()), **fields}))

    def forge(self, told: dict[str, Any], content: bytes) -> None:
        """Change the last segment of a backup, and the manifest with it, as somebody would who can write there."""
        path = self.segment(told)
        path.write_bytes(content)
        segments = msgspec.json.decode((self.place(told) / "manifest.json").read_bytes())["segments"]
        segments[-1] |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        self.rewrite(told, segments=segments, stored=sum(segment["size"] for segment in segments))

    def begin(self, **info: Any) -> Report:
        """Have the machine begin with the increment; what the conductor hears of the end."""
        heard = len(self.target.conductor.reports)
        arguments = {
            "packages": "",
            "databases": [],
            "memory_mb": 512,
            "users": [],
            "config_contents": FLAVOUR,
            "backup_info": {**backup_info(self.increment), "type": "incremental", **info},
        }
        context = request_context("trove.common.notification.DBaaSInstanceCreate")
        self.target.wire.cast(self.target.id, "prepare", arguments, version="1.1", context=context)
        return self.target.conductor.wait_for_method(
            self.target.id, "notify_end", "notify_exc_info", timeout=90, after=heard
        )


@pytest.fixture(scope="module")
def pair(rabbit: Rabbit) -> Iterator[Pair]:
    rabbit.start()
    with (
        Wire(rabbit, EXCHANGE) as wire,
        Conductor(rabbit, EXCHANGE) as conductor,
        reachable_directory() as directory,
        contextlib.ExitStack() as stack,
    ):
        made = [
            Instance(directory / name, directory / "storage", rabbit, EXCHANGE, wire, conductor)
            for name in ("source", "target")
        ]
        for instance in made:
            stack.callback(instance.close)
        yield Pair(*made)


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


Spoil = Callable[[Pair], Any]

CASES: dict[str, tuple[Spoil, list[str]]] = {
    "another content": (
        lambda pair: pair.segment(pair.full).write_bytes(flipped(pair.segment(pair.full).read_bytes(), 100)),
        ["Segment", "its SHA-256 is another one", "begins at byte"],
    ),
    "a segment that is cut": (
        lambda pair: pair.segment(pair.full).write_bytes(pair.segment(pair.full).read_bytes()[:-1]),
        ["Segment", "of its", "begins at byte"],
    ),
    "a segment that is missing": (
        lambda pair: pair.segment(pair.increment).unlink(),
        ["Segment", "is not in the store"],
    ),
    "a frame with another bit": (
        lambda pair: pair.forge(pair.full, flipped(pair.segment(pair.full).read_bytes(), 100)),
        ["cannot be decrypted at byte", "of segment", "is damaged"],
    ),
    "a frame that is cut": (
        lambda pair: pair.forge(pair.full, pair.segment(pair.full).read_bytes()[: -TAG - 1]),
        ["cannot be decrypted at byte", "of segment"],
    ),
    "another key of that name": (
        lambda pair: pair.target.keys.write_text(f"first {'f' * 64}\n"),
        ["The key 'first' of this guest is not the one"],
    ),
    "a key that is not here": (
        lambda pair: pair.target.keys.write_text(f"other {KEY}\n"),
        ["encrypted with key 'first', which this guest does not have"],
    ),
    "a newer manifest": (
        lambda pair: pair.rewrite(pair.increment, schema=99),
        ["a newer agent wrote it (schema 99"],
    ),
    "a manifest that is none": (
        lambda pair: (pair.place(pair.increment) / "manifest.json").write_bytes(b"{"),
        ["The manifest of backup", "it is damaged"],
    ),
    "segments that lie elsewhere": (
        lambda pair: pair.rewrite(
            pair.increment, segments=[{"name": "../../x", "size": 1, "sha256": "0", "md5": ""}], stored=1
        ),
        ["its segment '../../x' would lie elsewhere"],
    ),
    "a parent that is gone": (
        lambda pair: (pair.place(pair.full) / "manifest.json").unlink(),
        ["builds on", "which is not in the store any more"],
    ),
    "no manifest": (
        lambda pair: (pair.place(pair.increment) / "manifest.json").unlink(),
        ["There is no backup at local://"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_backup_that_is_not_what_it_was_fails_the_instance(pair: Pair, case: str) -> None:
    spoil, said = CASES[case]
    pair.heal()
    spoil(pair)
    _fails(pair, said)


@pytest.mark.parametrize("container", ["database_backups/../../../etc", "..", "database_backups/.."])
def test_a_location_that_leads_elsewhere_fails_the_instance(pair: Pair, container: str) -> None:
    pair.heal()
    _fails(pair, ["cannot be used: it "], location=f"local://{container}/../../passwd")


def _fails(pair: Pair, said: list[str], **info: Any) -> None:
    before = {path: path.stat().st_mtime_ns for path in pair.source.storage.rglob("*")}
    heard = len(pair.target.conductor.reports)
    ended = pair.begin(**info)
    assert ended.method == "notify_exc_info"
    assert [part for part in said if part not in ended.args["message"]] == [], ended.args["message"]
    pair.target.conductor.wait_for_status(pair.target.id, "failed to spawn", after=heard)
    # It never starts empty, and nothing is left that would.
    assert not (pair.volume / "data").exists()
    assert not list(pair.volume.glob(".*unfinished*"))
    assert not list(pair.volume.glob(".backup-*"))
    assert [line for line in processes(pair.target.agent.directory) if MODULE not in line] == []
    assert processes(pair.volume) == []
    # What is in the store stays as it is, and so does the instance that it is of.
    assert {path: path.stat().st_mtime_ns for path in pair.source.storage.rglob("*")} == before
    assert pair.source.sql("SELECT COUNT(*) > 0 FROM more") == ((1,),)


def test_what_was_good_all_the_time_is_restored_at_last(pair: Pair) -> None:
    pair.heal()
    assert pair.begin().method == "notify_end"
    assert pair.target.checksum("more") == pair.source.checksum("more")
